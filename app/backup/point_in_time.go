package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// pointInTime is a database as it was at a time, or at the end of an archive.
type pointInTime struct {
	// at is the time; zero for the end.
	at time.Time
	// archive is the name of the one to look into; empty for all.
	archive string
	// system is the identifier of the server that is restored into.
	system string
}

func (p pointInTime) fetch(ctx context.Context, database, dir string) (fetched, error) {
	of, err := openArchive()
	if err != nil {
		return fetched{}, err
	}
	stanzas, err := of.Stanzas(ctx)
	if err != nil {
		return fetched{}, fmt.Errorf("look into the archive: %w", err)
	}
	spans, err := p.spans(stanzas)
	if err != nil {
		return fetched{}, backoff.Permanent(err)
	}
	for _, span := range spans {
		m, err := p.dump(ctx, of, span, database, dir)
		switch {
		case errors.Is(err, postgres.ErrNotReached):
			return m, backoff.Permanent(fmt.Errorf("%w: to restore all that there is, ask for %q", err, endName(span)))
		case err != nil:
			return m, err
		case len(m.Content.Tables) > 0:
			return m, nil
		}
		passedOver(span.Backup.Stanza, span.To, "the database has no tables on that server")
	}
	return fetched{}, backoff.Permanent(fmt.Errorf(
		"database %s had no tables then, or was being dropped: ask for an earlier time", database))
}

func passedOver(archive string, until time.Time, why string) {
	slog.Info("passed over", "archive", archive, "until", until.Format(time.RFC3339), "because", why)
}

// spans are those that may hold the database, in the order in which to look for it. The end is never that of
// the server that is restored into, unless it is named: what was lost is not on that one.
func (p pointInTime) spans(stanzas []pgbackrest.Stanza) (spans []pgbackrest.Span, err error) {
	covered := "; the archive covers " + cmp.Or(strings.Join(coverage(stanzas), ", "), "nothing")
	var unread []pgbackrest.Stanza
	own := ""
	for _, s := range stanzas {
		all := s.Spans()
		if !p.at.IsZero() {
			all = slices.DeleteFunc(all, func(span pgbackrest.Span) bool { return p.at.Before(span.From) })
		}
		switch {
		case p.archive != "" && p.archive != s.Name:
		case p.at.IsZero() && p.archive == "" && s.System() == p.system:
			own = "; what this server has archived itself is restored by a time, or by its name, " + restorepoint.Archive(s.Name)
			passedOver(s.Name, s.Changed, "it is of the server that is restored into")
		case s.Unreadable != nil:
			unread = append(unread, s)
		case len(all) > 0:
			spans = append(spans, all[len(all)-1])
		}
	}
	slices.SortFunc(spans, func(a, b pgbackrest.Span) int {
		if p.at.IsZero() {
			return b.To.Compare(a.To)
		}
		return b.From.Compare(a.From)
	})
	for _, s := range unread {
		mayBeRead := !errors.Is(s.Unreadable, pgbackrest.ErrIncomplete)
		if mayBeRead && p.at.IsZero() && len(spans) > 0 && s.Changed.After(spans[0].To) {
			return nil, fmt.Errorf("archive %s is newer than %s, and cannot be read: %w; to restore the older one, ask for %q",
				s.Name, spans[0].Backup.Stanza, s.Unreadable, endName(spans[0]))
		}
		passedOver(s.Name, s.Changed, s.Unreadable.Error())
	}
	switch {
	case len(spans) == 0 && p.archive != "":
		return nil, fmt.Errorf("archive %s holds no base backup%s", p.archive, covered)
	case len(spans) == 0 && p.at.IsZero():
		return nil, fmt.Errorf("the archive holds no base backup of an earlier server%s%s", covered, own)
	case len(spans) == 0:
		return nil, fmt.Errorf("there is no base backup from before %s%s", p.at.Format(time.RFC3339), covered)
	case p.at.IsZero():
		return spans, nil
	case p.at.Truncate(time.Second).After(spans[0].To): // which the store tells to the second
		return nil, fmt.Errorf("the archive does not hold the log up to %s%s; to restore all that there is, ask for %q",
			p.at.Format(time.RFC3339), covered, endName(spans[0]))
	}
	return spans[:1], nil
}

// dump brings a base backup to its time on a throwaway server, and dumps the database from there. Without
// tables there is no dump.
func (p pointInTime) dump(
	ctx context.Context, of *pgbackrest.Archive, span pgbackrest.Span, database, dir string,
) (m fetched, err error) {
	start := time.Now()
	server, err := recovered(ctx, of, span, p.at)
	if err != nil {
		return m, fmt.Errorf("bring base backup %s to its time: %w", span.Backup.Label, err)
	}
	defer func() {
		if closeErr := server.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("remove the throwaway server: %w", closeErr))
		}
	}()
	slog.Info("replayed the log", "base backup", span.Backup.Label, "in",
		time.Since(start).Round(time.Millisecond))

	if m, err = dumpOf(ctx, server, database, dir); err != nil {
		return m, err
	}
	m.Name, m.until, m.System = p.name(span), p.at, span.Backup.System()
	if p.at.IsZero() {
		m.until = span.To
	}
	return m, nil
}

// dumpOf dumps a database of a server that is at its time.
func dumpOf(ctx context.Context, server *postgres.ScratchServer, database, dir string) (m fetched, err error) {
	m.Database = database
	if has, err := server.Has(ctx, database); err != nil || !has {
		return m, err
	}
	if m.Client, _, err = postgres.ClientVersion(ctx); err != nil {
		return m, err
	}
	if m.Content, err = server.Content(ctx, database); err != nil {
		return m, fmt.Errorf("record the database: %w", err)
	}
	if m.unlogged, err = server.Unlogged(ctx, database); err != nil {
		return m, fmt.Errorf("look for unlogged tables: %w", err)
	}
	m.dump = filepath.Join(dir, "dump")
	if m.Server, err = server.Dump(ctx, database, m.dump); err != nil {
		return m, fmt.Errorf("dump the database: %w", err)
	}
	return m, nil
}

func (p pointInTime) name(span pgbackrest.Span) string {
	if p.at.IsZero() {
		return endName(span)
	}
	return p.at.UTC().Format(time.RFC3339Nano) + " in archive " + span.Backup.Stanza
}

func endName(span pgbackrest.Span) string { return restorepoint.Archive(span.Backup.Stanza) }

// recovered is a throwaway server that has replayed a span up to a time, or to its end if that is zero.
func recovered(ctx context.Context, of *pgbackrest.Archive, span pgbackrest.Span,
	until time.Time) (*postgres.ScratchServer, error) {
	fetch := func(data string) error { return of.Restore(ctx, span.Backup, data, until) }
	segment := func(ctx context.Context, data, name string) ([]byte, error) {
		return of.Segment(ctx, span.Backup.Stanza, data, name)
	}
	server, err := postgres.RecoverScratch(ctx, serverDir(), fetch, segment)
	if err != nil || !until.IsZero() {
		return server, err
	}
	// It takes a segment that it cannot read for the end, be it the last one or another.
	reached, err := server.Reached(ctx, span.End())
	if err == nil && !reached {
		err = errors.New("not all of the log can be replayed: a segment is damaged")
	}
	if err == nil {
		err = of.CheckEnd(ctx, span, server.Data())
	}
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return server, nil
}

// verifyArchive checks the newest server's base backup with all of the log since, or everything. It returns
// what it has checked.
func (v verification) verifyArchive(ctx context.Context) (verified []string, err error) {
	of, err := openArchive()
	if err != nil {
		return nil, err
	}
	stanzas, err := of.Stanzas(ctx)
	if err != nil {
		return nil, fmt.Errorf("look into the archive: %w", err)
	}
	stanzas = slices.DeleteFunc(stanzas, func(s pgbackrest.Stanza) bool {
		half := errors.Is(s.Unreadable, pgbackrest.ErrIncomplete)
		if half {
			slog.Warn("not verified, for nothing can be restored from it", "archive", s.Name, "error", s.Unreadable)
		}
		return half
	})
	slices.SortFunc(stanzas, func(a, b pgbackrest.Stanza) int { return b.Changed.Compare(a.Changed) })
	if !v.all && len(stanzas) > 1 {
		stanzas = stanzas[:1]
	}
	var failures []error
	for _, s := range stanzas {
		verified = append(verified, "archive "+s.Name)
		if s.IsAfterRollback() {
			slog.Warn("the server was set back to an earlier state of its volume: "+
				"what it had archived after that is in another archive", "archive", s.Name)
		}
		if err := v.checkArchive(ctx, of, s); err != nil {
			slog.Error("not verified", "archive", s.Name, "error", err)
			failures = append(failures, fmt.Errorf("archive %s: %w", s.Name, err))
		}
	}
	return verified, errors.Join(failures...)
}

func (v verification) checkArchive(ctx context.Context, of *pgbackrest.Archive, s pgbackrest.Stanza) error {
	spans := s.Spans()
	switch {
	case s.Unreadable != nil:
		return s.Unreadable
	case len(spans) == 0:
		return errors.New("it holds no base backup")
	case v.checksums:
		return of.Verify(ctx, s.Name)
	}
	newest := spans[len(spans)-1]
	if newest.Gap != "" {
		return fmt.Errorf("segment %s of the log is missing", newest.Gap)
	}
	server, err := recovered(ctx, of, newest, time.Time{})
	if err != nil {
		return fmt.Errorf("restore base backup %s and replay the log: %w", newest.Backup.Label, err)
	}
	return errors.Join(server.Check(ctx), server.Close())
}

// openArchive reads the settings anew, for keys can change.
func openArchive() (*pgbackrest.Archive, error) {
	var e environment
	of := pgbackrest.FromEnvironment(&e.Reader)
	if err := e.Err(); err != nil {
		return nil, backoff.Permanent(fmt.Errorf("read the settings: %w", err))
	}
	return of, nil
}

// coverage says what times can be restored, and what cannot be read.
func coverage(stanzas []pgbackrest.Stanza) (covered []string) {
	for _, s := range stanzas {
		if s.Unreadable != nil {
			covered = append(covered, fmt.Sprintf("what archive %s holds, which cannot be read: %v", s.Name,
				s.Unreadable))
		}
		for _, span := range joined(s.Spans()) {
			from, to := span.From.Format(time.RFC3339), span.To.Format(time.RFC3339)
			covered = append(covered, fmt.Sprintf("%s to %s in %s", from, to, endName(span)))
		}
	}
	return covered
}

// joined makes one of spans that overlap.
func joined(spans []pgbackrest.Span) (all []pgbackrest.Span) {
	for _, span := range spans {
		if last := len(all) - 1; last >= 0 && !span.From.After(all[last].To) {
			all[last].To = span.To
			continue
		}
		all = append(all, span)
	}
	return all
}
