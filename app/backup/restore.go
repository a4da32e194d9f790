package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/cenkalti/backoff/v5"
	"github.com/dustin/go-humanize"

	"github.com/stateful-k3s/stateful-k3s/app/backup/archive"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
)

// restoration lets another database take the place of one.
type restoration struct {
	// job makes a backup of what is replaced.
	job
	// from is what was asked for, archived the source of that, unless it is a backup, which identities open.
	from       string
	archived   source
	identities []age.Identity
	// over is the name of the database that may hold something.
	over string
}

func restore(ctx context.Context, args []string) error {
	said, err := restoreFrom(ctx, args)
	if err != nil {
		return fmt.Errorf("not restored: %w", err)
	}
	conclude(said)
	return nil
}

func restoreFrom(ctx context.Context, args []string) (said string, err error) {
	var e environment
	r := restoration{identities: e.identities(), over: os.Getenv("RESTORE_OVER")}
	if len(args) == 1 {
		r.from = args[0]
	} else {
		r.from = e.Text("RESTORE_FROM", "", latest)
	}
	r.archived = e.archived(r.from)
	if r.job, err = newJob(&e); err != nil {
		return "", fmt.Errorf("read the settings: %w", err)
	}
	return retry(ctx, r.retry, func() (string, error) { return r.attempt(ctx) })
}

// attempt says what it has done.
func (r restoration) attempt(ctx context.Context) (said string, err error) {
	start := time.Now()
	address, err := database.Environment()
	if err != nil {
		return "", err
	}
	_, major, err := postgres.ClientVersion(ctx)
	if err != nil {
		return "", fmt.Errorf("find pg_restore: %w: %w", postgres.ErrRefused, err)
	}
	target, err := postgres.OpenTarget(ctx, address, major)
	if err != nil {
		return "", fmt.Errorf("open the database: %w", err)
	}
	defer target.Close()
	restored, at, err := target.Restored(ctx, r.from)
	if err != nil {
		return "", fmt.Errorf("look for an earlier restore: %w", err)
	}
	if restored != "" {
		return fmt.Sprintf("nothing to do: %s was restored from %s at %s", target.Database, restored, at.UTC().Format(time.RFC3339)), nil
	}
	holds, err := r.holds(ctx, target)
	if err != nil {
		return "", err
	}
	if holds != "" && r.archived != nil {
		if err := target.Archive(ctx); err != nil {
			return "", fmt.Errorf("archive the log up to now: %w", err)
		}
	}

	dir, err := os.MkdirTemp(r.scratch, "restore-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	dump, m, err := r.source(target).fetch(ctx, target.Database, dir)
	if err != nil {
		return "", fmt.Errorf("fetch the dump: %w", err)
	}
	slog.Info("fetched", "from", m.Name, "in", time.Since(start).Round(time.Millisecond))
	if err := fits(ctx, target, m); err != nil {
		return "", err
	}
	if err := r.replace(ctx, target, dump, m); err != nil {
		return "", err
	}
	info, err := os.Stat(dump)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("restored %s from %s: %d tables, %s rows, %s in %s", target.Database, m.Name, len(m.Content.Tables),
		humanize.Comma(m.Content.Rows()), humanize.Bytes(uint64(info.Size())), time.Since(start).Round(time.Millisecond)), nil
}

func (r restoration) source(target *postgres.Target) source {
	if r.archived != nil {
		return r.archived
	}
	return stored{store: r.store, identities: r.identities, name: r.from, system: target.System}
}

// holds says what the database holds, and fails if that may not be replaced.
func (r restoration) holds(ctx context.Context, target *postgres.Target) (string, error) {
	holds, err := target.Holds(ctx)
	if err != nil {
		return "", fmt.Errorf("look into the database: %w", err)
	}
	if holds != "" && r.over != target.Database {
		return "", backoff.Permanent(fmt.Errorf("%[1]s holds %[2]s, and nothing was changed: to have them backed up and replaced, set restoreOver to %[1]s (RESTORE_OVER)",
			target.Database, holds))
	}
	return holds, nil
}

// fits fails if the server is not one for the database that a manifest describes.
func fits(ctx context.Context, target *postgres.Target, m archive.Manifest) error {
	if m.Database != target.Database {
		return backoff.Permanent(fmt.Errorf("%s is of database %s, and this is %s: look for a backup of its own under its own prefix (S3_PREFIX)", m.Name, m.Database, target.Database))
	}
	was, err := postgres.Major(m.Server)
	if err != nil {
		return backoff.Permanent(err)
	}
	if target.Major < was {
		return backoff.Permanent(fmt.Errorf("%s is of Postgres %s, and the server of %s: take a server of Postgres %d or newer", m.Name, m.Server, target.Server, was))
	}
	missing, err := target.Missing(ctx, m.Content.Roles)
	if err != nil {
		return fmt.Errorf("look for roles: %w", err)
	}
	if len(missing) > 0 {
		return backoff.Permanent(fmt.Errorf("the server lacks roles that %s names: create them, without a password if need be: %s", m.Name, strings.Join(missing, ", ")))
	}
	return nil
}

// replace restores beside the database, compares, and only then changes something.
func (r restoration) replace(ctx context.Context, target *postgres.Target, dump string, m archive.Manifest) error {
	start := time.Now()
	if err := target.Restore(ctx, dump); err != nil {
		return fmt.Errorf("restore the dump: %w", err)
	}
	slog.Info("restored beside the database", "in", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	restored, err := target.Content(ctx)
	if err != nil {
		return fmt.Errorf("record the restored copy: %w", err)
	}
	if err := equal(m, restored); err != nil {
		return err
	}
	slog.Info("compared", "rows", restored.Rows(), "in", time.Since(start).Round(time.Millisecond))
	holds, err := r.holds(ctx, target)
	if err != nil {
		return err
	}
	if holds != "" {
		r.replacing = target.System
		old, err := r.job.attempt(ctx, time.Now().UTC())
		if err != nil {
			return fmt.Errorf("back up what is replaced: %w", err)
		}
		slog.Info("backed up what is replaced", "held", holds, "backup", old.Name)
	}
	if err := target.Replace(ctx, r.from, m.Name); err != nil {
		return fmt.Errorf("replace the database: %w", err)
	}
	return nil
}
