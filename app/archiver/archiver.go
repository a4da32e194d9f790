package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

// backUpEvery is how much of the log has to be replayed at most.
const backUpEvery = 24 * time.Hour

func push(ctx context.Context, file string) error {
	var r settings.Reader
	archive := pgbackrest.Read(&r)
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
	return fmt.Errorf("start pgbackrest: %w", archive.Push(archive.Stanza(control.system), file, queue))
}

func run(ctx context.Context) error {
	var r settings.Reader
	pause := r.Duration("ARCHIVE_LOOK_EVERY", "1m")
	if err := r.Err(); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	for ctx.Err() == nil {
		if err := look(ctx); err != nil && ctx.Err() == nil {
			slog.Error("the archive is not as it should be", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// look makes a base backup if it is time for one, and deletes what earlier servers archived long ago.
func look(ctx context.Context) error {
	var r settings.Reader
	archive := pgbackrest.Read(&r)
	keepDays := r.Number("ARCHIVE_KEEP_DAYS", 7, 1, 10_000)
	if err := r.Err(); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	control, err := readControl(ctx)
	if err != nil {
		return err
	}
	name := archive.Stanza(control.system)
	stanzas, err := archive.Stanzas(ctx)
	if err != nil {
		return fmt.Errorf("look into the archive: %w", err)
	}
	own := slices.IndexFunc(stanzas, func(s pgbackrest.Stanza) bool { return s.Name == name })
	if own < 0 {
		if err := archive.Create(ctx, name); err != nil {
			return fmt.Errorf("begin an archive: %w", err)
		}
		slog.Info("began an archive", "server", name)
		stanzas, own = append(stanzas, pgbackrest.Stanza{Name: name}), len(stanzas)
	}
	if err := stanzas[own].Unreadable; err != nil {
		return fmt.Errorf("read the archive of %s: %w", name, err)
	}
	if why := due(stanzas[own].Spans(), time.Now()); why != "" {
		slog.Info("making a base backup", "because", why)
		start := time.Now()
		if err := archive.BackUp(ctx, name, keepDays); err != nil {
			return fmt.Errorf("make a base backup: %w", err)
		}
		slog.Info("made a base backup", "in", time.Since(start).Round(time.Millisecond))
	}
	// From here on this server has the newest base backup of all.
	for _, s := range slices.Delete(stanzas, own, own+1) {
		if time.Since(s.Changed) < time.Duration(keepDays)*24*time.Hour {
			continue
		}
		if err := archive.Delete(ctx, s.Name); err != nil {
			return fmt.Errorf("delete the archive of an earlier server: %w", err)
		}
		slog.Info("deleted the archive of an earlier server", "server", s.Name, "newest", s.Changed)
	}
	return nil
}

// due is why there has to be a base backup now; empty if there need be none.
func due(spans []pgbackrest.Span, now time.Time) string {
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

var (
	identifierLine = regexp.MustCompile(`(?m)^Database system identifier: *(\d+)$`)
	stoppingLine   = regexp.MustCompile(`(?m)^Database cluster state: *(shutting down|shut down)$`)
)

// control is what a server's control file tells.
type control struct {
	// system is the number that the server got when its data directory was made.
	system   string
	stopping bool
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
	return control{string(line[1]), stoppingLine.Match(said)}, nil
}
