package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
)

// run maintains the archive until ctx ends. It reads the settings each time, since keys can change.
func run(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	var m maintainer
	for ctx.Err() == nil {
		if err := m.maintain(ctx); err != nil && ctx.Err() == nil {
			slog.Error("cannot maintain the archive", "error", err)
		}
		if err := m.wakeCheckpointer(ctx); err != nil && ctx.Err() == nil {
			slog.Warn("archive_timeout may not count yet", "error", err) // the server may not have started
		}
		select {
		case <-ctx.Done():
		case <-time.After(c.interval):
		}
	}
	return nil
}

// maintainer keeps the archive in order.
type maintainer struct {
	config
	warned map[string]bool
	// awake is the start of the checkpointer that was woken last.
	awake time.Time
}

// warnOnce logs a warning unless it has logged the same before.
func (m *maintainer) warnOnce(message string, attributes ...any) {
	if m.warned == nil {
		m.warned = map[string]bool{}
	}
	if key := fmt.Sprint(append(attributes, message)...); !m.warned[key] {
		m.warned[key] = true
		slog.Warn(message, attributes...)
	}
}

// maintain makes a base backup if one is due, and deletes old archives of earlier servers.
func (m *maintainer) maintain(ctx context.Context) (err error) {
	if m.config, err = readConfig(); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	control, err := readControlData(ctx)
	if err != nil {
		return err
	}
	stanzas, err := m.archive.Stanzas(ctx)
	if err != nil {
		return fmt.Errorf("look into the archive: %w", err)
	}
	for _, s := range stanzas {
		if s.Unreadable != nil {
			m.warnOnce("an archive cannot be used", "server", s.Name, "because", s.Unreadable)
		}
	}
	own, err := m.ownStanza(ctx, control, stanzas)
	if err != nil {
		return err
	}
	if own.Unreadable != nil {
		return fmt.Errorf("read the archive of %s: %w", own.Name, own.Unreadable)
	}
	for _, b := range own.Future {
		if err := m.archive.DeleteBackup(ctx, b); err != nil {
			return fmt.Errorf("delete base backup %s, which is dated in the future: %w", b.Label, err)
		}
		slog.Warn("deleted a base backup that is dated in the future", "backup", b.Label)
	}
	if err := m.backUpIfDue(ctx, own); err != nil {
		return err
	}
	return m.deleteOld(ctx, own,
		slices.DeleteFunc(stanzas, func(s pgbackrest.Stanza) bool { return s.Name == own.Name }))
}

// wakeCheckpointer makes archive_timeout count from the start of the server. Its checkpointer falls asleep
// for checkpoint_timeout while the server recovers, and looks at archive_timeout only when it is awake.
// Source: https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/postmaster/checkpointer.c
func (m *maintainer) wakeCheckpointer(ctx context.Context) error {
	started, err := query[time.Time](ctx, "postgres",
		`SELECT backend_start FROM pg_stat_activity WHERE backend_type = 'checkpointer'`)
	if err != nil || started.Equal(m.awake) {
		return err
	}
	if _, err := query[bool](ctx, "postgres", `SELECT pg_reload_conf()`); err != nil {
		return err
	}
	m.awake = started
	return nil
}

// ownStanza returns this server's stanza. It makes one if there is none, if it is incomplete and so takes
// nothing more, or if the server was set back.
func (m *maintainer) ownStanza(
	ctx context.Context, control controlData, stanzas []pgbackrest.Stanza,
) (own pgbackrest.Stanza, err error) {
	name := m.archive.StanzaName(control.identity())
	i := slices.IndexFunc(stanzas, func(s pgbackrest.Stanza) bool { return s.Name == name })
	if i >= 0 && !errors.Is(stanzas[i].Unreadable, pgbackrest.ErrIncomplete) {
		own = stanzas[i]
		isSetBack, err := wasSetBack(ctx, own)
		if err != nil {
			return own, fmt.Errorf("compare the log with what is archived: %w", err)
		}
		if !isSetBack {
			return own, nil
		}
		if name, err = beginAnother(ctx, m.archive, control, stanzas); err != nil {
			return own, fmt.Errorf("begin another archive: %w", err)
		}
		slog.Error("this server was set back to an earlier state, such as a snapshot of its volume: "+
			"what it archives from now on is another archive", "before", own.Name, "now", name)
		return pgbackrest.Stanza{Name: name}, nil
	}
	if i >= 0 {
		if err := m.archive.Delete(ctx, name); err != nil {
			return own, fmt.Errorf("delete the rest of this server's archive: %w", err)
		}
		slog.Error("deleted the rest of this server's archive", "because", stanzas[i].Unreadable)
	}
	if err := m.archive.Create(ctx, name); err != nil {
		return own, fmt.Errorf("begin an archive: %w", err)
	}
	slog.Info("began an archive", "server", name)
	return pgbackrest.Stanza{Name: name}, nil
}

// backUpIfDue makes a base backup if one is due.
func (m *maintainer) backUpIfDue(ctx context.Context, own pgbackrest.Stanza) error {
	reason := backupDue(own.Spans(), time.Now())
	if reason == "" {
		var err error
		if reason, err = newTablespace(own.Backups); err != nil {
			return fmt.Errorf("look for tablespaces: %w", err)
		}
	}
	if reason == "" {
		return nil
	}
	slog.Info("making a base backup", "because", reason)
	start := time.Now()
	if err := m.archive.BackUp(ctx, own.Name, 1+backupsToKeep(own.Backups, m.keepDays)); err != nil {
		return fmt.Errorf("make a base backup: %w", err)
	}
	slog.Info("made a base backup", "in", time.Since(start).Round(time.Millisecond))
	return nil
}

// deleteOld deletes the old archives of earlier servers, unless they may have to be restored.
func (m *maintainer) deleteOld(ctx context.Context, own pgbackrest.Stanza, others []pgbackrest.Stanza) error {
	old := slices.DeleteFunc(others,
		func(s pgbackrest.Stanza) bool { return time.Since(s.Changed) < days(m.keepDays) })
	if len(old) == 0 {
		return nil
	}
	reason, err := m.keepReason(ctx, own)
	if err != nil {
		return fmt.Errorf("find out whether the archives of earlier servers are needed: %w", err)
	}
	for _, s := range old {
		if reason != "" {
			m.warnOnce("kept the archive of an earlier server",
				"server", s.Name, "newest", s.Changed, "because", reason)
			continue
		}
		if err := m.archive.Delete(ctx, s.Name); err != nil {
			return fmt.Errorf("delete the archive of an earlier server: %w", err)
		}
		slog.Info("deleted the archive of an earlier server", "server", s.Name, "newest", s.Changed)
	}
	return nil
}

// keepReason says why the archives of earlier servers are still needed; empty if they are not. Base backups
// show how far this server's archive goes back. There is one a day, and a wrong clock adds at most one.
func (m *maintainer) keepReason(ctx context.Context, own pgbackrest.Stanza) (string, error) {
	if len(own.Backups) <= m.keepDays {
		return "this server's own has no base backup of as many days yet", nil
	}
	requested, err := m.archive.RestoreRequested(ctx)
	if err != nil {
		return "", fmt.Errorf("find out whether a restore is pending: %w", err)
	}
	if reason := pgbackrest.PendingRestore(requested, days(m.keepDays)); reason != "" {
		return reason, nil
	}
	has, err := hasRows(ctx)
	if err != nil {
		return "", fmt.Errorf("look into the databases: %w", err)
	}
	if !has {
		return "this server's databases hold no rows", nil
	}
	return "", nil
}

// backupInterval bounds how much log a restore has to replay.
const backupInterval = 24 * time.Hour

func days(number int) time.Duration { return time.Duration(number) * 24 * time.Hour }

// backupDue says why a base backup is due; empty if none is. Backups that a wrong clock dated in the future
// do not count.
func backupDue(spans []pgbackrest.Span, now time.Time) string {
	spans = slices.DeleteFunc(spans,
		func(s pgbackrest.Span) bool { return s.From.After(now.Add(pgbackrest.ClockSkew)) })
	if len(spans) == 0 {
		return "there is none"
	}
	newest := spans[len(spans)-1]
	if newest.Gap != "" {
		return fmt.Sprintf(
			"no time from %s until it is made can be restored, since segment %s of the log is missing",
			newest.To.Format(time.RFC3339), newest.Gap)
	}
	if age := now.Sub(newest.From); age >= backupInterval {
		return fmt.Sprintf("the newest is %s old", age.Round(time.Minute))
	}
	return ""
}

// newTablespace says that a base backup is due because a tablespace was made since the newest one. The log of
// its creation can be replayed only where its folder exists.
func newTablespace(backups []pgbackrest.Backup) (string, error) {
	links, err := os.ReadDir(filepath.Join(os.Getenv("PGDATA"), "pg_tblspc"))
	if err != nil {
		return "", err
	}
	for _, link := range links {
		info, err := link.Info()
		if err != nil {
			return "", err
		}
		if len(backups) > 0 && !info.ModTime().Before(backups[len(backups)-1].Started) {
			return "a tablespace was made since the newest", nil
		}
	}
	return "", nil
}

// backupsToKeep returns how many base backups to keep in addition to the next: all from the last days with
// any, plus one more day, since days end at midnight. Counting days back from now would let a wrong clock
// delete them all.
func backupsToKeep(backups []pgbackrest.Backup, days int) (number int) {
	seen := map[time.Time]bool{}
	for _, b := range slices.Backward(backups) {
		seen[b.Ended.UTC().Truncate(24*time.Hour)] = true
		if len(seen) > days+1 {
			break
		}
		number++
	}
	return number
}
