package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

// backUpEvery is how much of the log has to be replayed at most.
const backUpEvery = 24 * time.Hour

func push(ctx context.Context, file string) error {
	var r settings.Reader
	archive := pgbackrest.FromEnvironment(&r)
	queue := r.Text("ARCHIVE_QUEUE", "128MiB", "")
	if err := r.Err(); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	control, err := readControl(ctx)
	if err != nil {
		return err
	}
	if control.stopping { // and waits for this, while pgbackrest would try for most of a minute
		if err := archive.Reach(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("start pgbackrest: %w", archive.Push(archive.Stanza(control.identity()), file, queue))
}

func run(ctx context.Context) error {
	var r settings.Reader
	pause := r.Duration("ARCHIVE_LOOK_EVERY", "1m")
	if err := r.Err(); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	var w watch
	for ctx.Err() == nil {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			slog.Error("the archive is not as it should be", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// watch looks after the archive.
type watch struct {
	// said are the messages that were logged once.
	said map[string]bool
}

// once logs a message if it was not logged before.
func (w *watch) once(message string, attributes ...any) {
	if key := fmt.Sprint(append(attributes, message)...); !w.said[key] {
		if w.said == nil {
			w.said = map[string]bool{}
		}
		w.said[key] = true
		slog.Warn(message, attributes...)
	}
}

// look makes a base backup if it is time for one, and deletes what earlier servers archived long ago.
func (w *watch) look(ctx context.Context) error {
	var r settings.Reader
	archive := pgbackrest.FromEnvironment(&r)
	keepDays := r.Number("ARCHIVE_KEEP_DAYS", 7, 1, 10_000)
	if err := r.Err(); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	control, err := readControl(ctx)
	if err != nil {
		return err
	}
	name := archive.Stanza(control.identity())
	stanzas, err := archive.Stanzas(ctx)
	if err != nil {
		return fmt.Errorf("look into the archive: %w", err)
	}
	var own *pgbackrest.Stanza
	var others []pgbackrest.Stanza
	for _, s := range stanzas {
		if s.Unreadable != nil {
			w.once("an archive cannot be used", "server", s.Name, "because", s.Unreadable)
		}
		if s.Name == name {
			own = &s
		} else {
			others = append(others, s)
		}
	}
	if own != nil && errors.Is(own.Unreadable, pgbackrest.ErrIncomplete) { // it takes nothing more, nor gives anything
		if err := archive.Delete(ctx, name); err != nil {
			return fmt.Errorf("delete what is left of this server's archive: %w", err)
		}
		slog.Error("deleted what was left of this server's archive", "because", own.Unreadable)
		own = nil
	}
	if own != nil {
		isBack, err := isSetBack(ctx, *own)
		if err != nil {
			return fmt.Errorf("compare the log with what is archived: %w", err)
		}
		if isBack {
			if name, err = beginAnother(ctx, archive, control, stanzas); err != nil {
				return fmt.Errorf("begin another archive: %w", err)
			}
			slog.Error("this server was set back to an earlier state, such as a snapshot of its volume: "+
				"what it archives from now on is another archive", "before", own.Name, "now", name)
			others = append(others, *own)
			own = &pgbackrest.Stanza{Name: name}
		}
	}
	if own == nil {
		if err := archive.Create(ctx, name); err != nil {
			return fmt.Errorf("begin an archive: %w", err)
		}
		slog.Info("began an archive", "server", name)
		own = &pgbackrest.Stanza{Name: name}
	}
	if own.Unreadable != nil {
		return fmt.Errorf("read the archive of %s: %w", name, own.Unreadable)
	}
	for _, b := range own.Future {
		if err := archive.Forget(ctx, b); err != nil {
			return fmt.Errorf("delete base backup %s, which is dated in the future: %w", b.Label, err)
		}
		slog.Warn("deleted a base backup that is dated in the future", "backup", b.Label)
	}
	why := due(own.Spans(), time.Now())
	if why == "" {
		if why, err = newTablespace(own.Backups); err != nil {
			return fmt.Errorf("look for tablespaces: %w", err)
		}
	}
	if why != "" {
		slog.Info("making a base backup", "because", why)
		start := time.Now()
		if err := archive.BackUp(ctx, name, 1+kept(own.Backups, keepDays)); err != nil {
			return fmt.Errorf("make a base backup: %w", err)
		}
		slog.Info("made a base backup", "in", time.Since(start).Round(time.Millisecond))
	}
	return w.deleteOld(ctx, archive, *own, others, keepDays)
}

// deleteOld deletes what earlier servers archived long ago, unless it may have to be restored.
func (w *watch) deleteOld(
	ctx context.Context, archive *pgbackrest.Archive, own pgbackrest.Stanza, others []pgbackrest.Stanza,
	keepDays int,
) error {
	isYoung := func(s pgbackrest.Stanza) bool { return time.Since(s.Changed) < days(keepDays) }
	old := slices.DeleteFunc(others, isYoung)
	if len(old) == 0 {
		return nil
	}
	why, err := needed(ctx, archive, own, keepDays)
	if err != nil {
		return fmt.Errorf("look whether what earlier servers archived is needed: %w", err)
	}
	for _, s := range old {
		if why != "" {
			w.once("kept the archive of an earlier server", "server", s.Name, "newest", s.Changed, "because", why)
			continue
		}
		if err := archive.Delete(ctx, s.Name); err != nil {
			return fmt.Errorf("delete the archive of an earlier server: %w", err)
		}
		slog.Info("deleted the archive of an earlier server", "server", s.Name, "newest", s.Changed)
	}
	return nil
}

// needed is why the archives of earlier servers are; empty if they are not. How far the own one goes back is
// told by base backups, of which there is one of each day: a clock that is wrong adds one at most.
func needed(
	ctx context.Context, archive *pgbackrest.Archive, own pgbackrest.Stanza, keepDays int,
) (why string, err error) {
	if len(own.Backups) <= keepDays {
		return "this server's own has no base backup of as many days yet", nil
	}
	asked, err := archive.RestoreRequested(ctx)
	if err != nil {
		return "", fmt.Errorf("look whether a restore was asked for: %w", err)
	}
	if time.Since(asked) < days(keepDays) {
		return fmt.Sprintf("a restore was asked for at %s and is not done", asked.Format(time.RFC3339)), nil
	}
	holds, err := holdsRows(ctx)
	if err != nil {
		return "", fmt.Errorf("look into the databases: %w", err)
	}
	if !holds {
		return "this server's databases hold no rows", nil
	}
	return "", nil
}

func days(number int) time.Duration { return time.Duration(number) * 24 * time.Hour }

// holdsRows tells whether any table of the server's databases does, or did until lately.
func holdsRows(ctx context.Context) (holds bool, err error) {
	names, err := ask[[]string](ctx, "postgres", `SELECT coalesce(array_agg(datname::text), '{}')
		FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND datname NOT IN ('postgres', 'template1')`)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		const holding = `SELECT EXISTS (
			SELECT FROM pg_class WHERE oid >= 16384 AND relkind = 'r' AND pg_relation_size(oid) > 0)`
		if holds, err = ask[bool](ctx, name, holding); holds || err != nil {
			return holds, err
		}
	}
	return false, nil
}

// ask returns what a statement says in a database of the server that libpq's variables name.
func ask[T any](ctx context.Context, database, sql string) (answer T, err error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return answer, err
	}
	config.Database = database
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return answer, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, sql).Scan(&answer)
	return answer, err
}

// kept is how many base backups are, besides the one that is made next: those of the last days that have any,
// and of one more, for days end at midnight. Counted back from now, a clock that is wrong would have them all
// deleted.
func kept(backups []pgbackrest.Backup, days int) (number int) {
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

// due is why there has to be a base backup now; empty if there need be none. One that is dated in the future,
// by a clock that was wrong, does not count.
func due(spans []pgbackrest.Span, now time.Time) string {
	spans = slices.DeleteFunc(spans,
		func(s pgbackrest.Span) bool { return s.From.After(now.Add(pgbackrest.ClockSkew)) })
	if len(spans) == 0 {
		return "there is none"
	}
	newest := spans[len(spans)-1]
	if newest.Gap != "" {
		return fmt.Sprintf("no time from %s until it is made can be restored, since segment %s of the log is missing", newest.To.Format(time.RFC3339), newest.Gap)
	}
	if age := now.Sub(newest.From); age >= backUpEvery {
		return fmt.Sprintf("the newest is %s old", age.Round(time.Minute))
	}
	return ""
}

// newTablespace is why there has to be a base backup, if a tablespace was made since the newest one. The log
// of that cannot be replayed elsewhere, where there is no such folder.
func newTablespace(backups []pgbackrest.Backup) (why string, err error) {
	const folder = "pg_tblspc"
	links, err := os.ReadDir(filepath.Join(os.Getenv("PGDATA"), folder))
	if err != nil {
		return "", err
	}
	for _, link := range links {
		made, err := link.Info()
		if err != nil {
			return "", err
		}
		if len(backups) > 0 && !made.ModTime().Before(backups[len(backups)-1].Started) {
			return "a tablespace was made since the newest", nil
		}
	}
	return "", nil
}

var (
	identifierLine = regexp.MustCompile(`(?m)^Database system identifier: *(\d+)$`)
	stoppingLine   = regexp.MustCompile(`(?m)^Database cluster state: *(shutting down|shut down)$`)
)

// control is what a server's control file tells.
type control struct {
	// system is the number that the server got when its data directory was made.
	system   string
	stopping bool
	// stretch is a number if the server was set back to an earlier state, and else empty.
	stretch string
}

// identity is what its stanza is named by.
func (c control) identity() string {
	if c.stretch == "" {
		return c.system
	}
	return c.system + "-" + c.stretch
}

func readControl(ctx context.Context) (control, error) {
	cmd := exec.CommandContext(ctx, "pg_controldata")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	said, err := cmd.CombinedOutput()
	if err != nil {
		return control{}, fmt.Errorf("pg_controldata: %w: %s", err, said)
	}
	line := identifierLine.FindSubmatch(said)
	if line == nil {
		return control{}, errors.New("pg_controldata does not tell the system identifier")
	}
	c := control{system: string(line[1]), stopping: stoppingLine.Match(said)}
	c.stretch, err = readStretch()
	return c, err
}
