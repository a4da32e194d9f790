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

// pointInTime is a database at a time, or at the end of an archive.
type pointInTime struct {
	config
	// at is zero for the end.
	at time.Time
	// stanza is the archive to look into; empty for all.
	stanza string
	// system identifies the server that is restored into.
	system string
}

func (p pointInTime) fetch(ctx context.Context, database, dir string) (fetchedDump, error) {
	stanzas, err := p.archive.Stanzas(ctx)
	if err != nil {
		return fetchedDump{}, fmt.Errorf("look into the archive: %w", err)
	}
	spans, err := p.candidates(stanzas)
	if err != nil {
		return fetchedDump{}, backoff.Permanent(err)
	}
	for _, span := range spans {
		dump, err := p.dump(ctx, span, database, dir)
		switch {
		case errors.Is(err, postgres.ErrNotReached):
			return dump, backoff.Permanent(
				fmt.Errorf("%w: to restore all there is, ask for %q", err, endName(span)))
		case err != nil:
			return dump, err
		case len(dump.Content.Tables) > 0:
			return dump, nil
		}
		logSkipped(span.Backup.Stanza, span.To, "the database has no tables on that server")
	}
	return fetchedDump{}, backoff.Permanent(fmt.Errorf(
		"database %s had no tables then, or was being dropped: ask for an earlier time", database))
}

func logSkipped(stanza string, until time.Time, reason string) {
	slog.Info("passed over", "archive", stanza, "until", until.Format(time.RFC3339), "because", reason)
}

// candidates returns the spans that may hold the database, in the order in which to try them. The end is
// never from the archive of the server restored into, unless it is named: that archive lacks what was lost.
func (p pointInTime) candidates(stanzas []pgbackrest.Stanza) (spans []pgbackrest.Span, err error) {
	covered := "; the archive covers " + cmp.Or(strings.Join(coverage(stanzas), ", "), "nothing")
	var unread []pgbackrest.Stanza
	own := ""
	for _, s := range stanzas {
		all := s.Spans()
		if !p.at.IsZero() {
			all = slices.DeleteFunc(all, func(span pgbackrest.Span) bool { return p.at.Before(span.From) })
		}
		switch {
		case p.stanza != "" && p.stanza != s.Name:
		case p.at.IsZero() && p.stanza == "" && s.System() == p.system:
			own = "; what this server has archived itself is restored by a time, or by its name, " +
				restorepoint.Archive(s.Name)
			logSkipped(s.Name, s.Changed, "it is of the server that is restored into")
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
	if err := p.refuseUnread(unread, spans); err != nil {
		return nil, err
	}
	switch {
	case len(spans) == 0 && p.stanza != "":
		return nil, fmt.Errorf("archive %s holds no base backup%s", p.stanza, covered)
	case len(spans) == 0 && p.at.IsZero():
		return nil, fmt.Errorf("the archive holds no base backup of an earlier server%s%s", covered, own)
	case len(spans) == 0:
		return nil, fmt.Errorf("there is no base backup from before %s%s", p.at.Format(time.RFC3339), covered)
	case p.at.IsZero():
		return spans, nil
	case p.at.Truncate(time.Second).After(spans[0].To): // the store tells times to the second
		return nil, fmt.Errorf(
			"the archive does not hold the log up to %s%s; to restore all there is, ask for %q",
			p.at.Format(time.RFC3339), covered, endName(spans[0]))
	}
	return spans[:1], nil
}

// refuseUnread logs the archives that cannot be read. It fails if one is newer than the archive that the end
// would come from, and another passphrase may open it.
func (p pointInTime) refuseUnread(unread []pgbackrest.Stanza, spans []pgbackrest.Span) error {
	for _, s := range unread {
		mayBeRead := !errors.Is(s.Unreadable, pgbackrest.ErrIncomplete)
		if mayBeRead && p.at.IsZero() && len(spans) > 0 && s.Changed.After(spans[0].To) {
			return fmt.Errorf(
				"archive %s is newer than %s, and cannot be read: %w; to restore the older one, ask for %q",
				s.Name, spans[0].Backup.Stanza, s.Unreadable, endName(spans[0]))
		}
		logSkipped(s.Name, s.Changed, s.Unreadable.Error())
	}
	return nil
}

// dump recovers a base backup to the time on a scratch server, and dumps the database from there. If the
// database has no tables, there is no dump.
func (p pointInTime) dump(
	ctx context.Context, span pgbackrest.Span, database, dir string,
) (dump fetchedDump, err error) {
	start := time.Now()
	server, err := p.recoverSpan(ctx, span, p.at)
	if err != nil {
		return dump, fmt.Errorf("bring base backup %s to its time: %w", span.Backup.Label, err)
	}
	defer closeScratch(server, &err)
	slog.Info("replayed the log",
		"base backup", span.Backup.Label, "in", time.Since(start).Round(time.Millisecond))
	if dump, err = dumpFrom(ctx, server, database, dir); err != nil {
		return dump, err
	}
	dump.System = span.Backup.System()
	dump.Name, dump.until = p.at.UTC().Format(time.RFC3339Nano)+" in archive "+span.Backup.Stanza, p.at
	if p.at.IsZero() {
		dump.Name, dump.until = endName(span), span.To
	}
	return dump, nil
}

// dumpFrom dumps a database of a recovered server.
func dumpFrom(
	ctx context.Context, server *postgres.ScratchServer, database, dir string,
) (dump fetchedDump, err error) {
	dump.Database = database
	if has, err := server.Has(ctx, database); err != nil || !has {
		return dump, err
	}
	if dump.Client, _, err = postgres.ClientVersion(ctx); err != nil {
		return dump, err
	}
	if dump.Content, err = server.Content(ctx, database); err != nil {
		return dump, fmt.Errorf("record the database: %w", err)
	}
	if dump.unlogged, err = server.Unlogged(ctx, database); err != nil {
		return dump, fmt.Errorf("look for unlogged tables: %w", err)
	}
	dump.path = filepath.Join(dir, "dump")
	if dump.Server, err = server.Dump(ctx, database, dump.path); err != nil {
		return dump, fmt.Errorf("dump the database: %w", err)
	}
	return dump, nil
}

func endName(span pgbackrest.Span) string { return restorepoint.Archive(span.Backup.Stanza) }

// recoverSpan starts a scratch server that has replayed a span up to a time, or to its end if that is zero.
func (c config) recoverSpan(
	ctx context.Context, span pgbackrest.Span, until time.Time,
) (*postgres.ScratchServer, error) {
	fetch := func(data string) error { return c.archive.Restore(ctx, span.Backup, data, until) }
	segment := func(ctx context.Context, data, name string) ([]byte, error) {
		return c.archive.ReadSegment(ctx, span.Backup.Stanza, data, name)
	}
	server, err := postgres.RecoverScratch(ctx, c.serverDir, fetch, segment)
	if err != nil || !until.IsZero() {
		return server, err
	}
	// Postgres takes any segment that it cannot read for the end of the log.
	reached, err := server.Reached(ctx, span.EndLSN())
	if err == nil && !reached {
		err = errors.New("not all of the log can be replayed: a segment is damaged")
	}
	if err == nil {
		err = c.archive.CheckLastSegment(ctx, span, server.Data())
	}
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return server, nil
}
