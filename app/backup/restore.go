package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/cenkalti/backoff/v5"
	"github.com/dustin/go-humanize"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// restoration lets another database take the place of one.
type restoration struct {
	// job makes a backup of what is replaced.
	job
	// asked is what was asked for, archived where that is in the archive; nil if it is a backup, which
	// identities open.
	asked      postgres.RestoreRequest
	archived   *pointInTime
	identities []age.Identity
	// over is the name of the database that may hold something.
	over string
}

func restore(ctx context.Context, args []string) error {
	said, err := restoreFrom(ctx, args)
	if err != nil {
		return fmt.Errorf("not restored: %w", err)
	}
	reportSuccess(said, "")
	return nil
}

func restoreFrom(ctx context.Context, args []string) (said string, err error) {
	var e environment
	r := restoration{identities: e.identities(), over: os.Getenv("RESTORE_OVER")}
	r.asked.ID = os.Getenv("RESTORE_REQUEST")
	if len(args) == 1 {
		r.asked.From = args[0]
	} else {
		r.asked.From = e.Text("RESTORE_FROM", "", restorepoint.Latest)
	}
	r.archived = e.archived(r.asked.From)
	if r.job, err = newJob(&e); err != nil {
		return "", fmt.Errorf("read the settings: %w", err)
	}
	r.superuser = true
	return retry(ctx, r.retry, func() (string, error) { return r.attempt(ctx) })
}

// attempt says what it has done.
func (r restoration) attempt(ctx context.Context) (said string, err error) {
	start := time.Now()
	address, err := r.address()
	if err != nil {
		return "", err
	}
	_, major, err := postgres.ClientVersion(ctx)
	if err != nil {
		return "", fmt.Errorf("find pg_restore: %w: %w", postgres.ErrPermanent, err)
	}
	target, err := postgres.OpenTarget(ctx, address, major)
	if err != nil {
		return "", fmt.Errorf("open the database: %w", err)
	}
	defer target.Close()
	if said, err := r.restored(ctx, target); said != "" || err != nil {
		return said, err
	}
	if err := r.store.RequestRestore(ctx, r.asked.From); err != nil {
		slog.Warn("what old backups are deleted meanwhile may be what is to be restored", "error", err)
	}
	holds, rows, err := r.holds(ctx, target)
	if err != nil {
		return "", err
	}
	if holds != "" && r.archived != nil {
		if err := target.ArchiveWAL(ctx); err != nil {
			return "", fmt.Errorf("archive the log up to now: %w", err)
		}
	}

	dir, err := os.MkdirTemp(r.scratch, "restore-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	m, err := r.source(target).fetch(ctx, target.Database, dir)
	if err != nil {
		return "", fmt.Errorf("fetch the dump: %w", err)
	}
	slog.Info("fetched", "from", m.Name, "in", time.Since(start).Round(time.Millisecond))
	warnOfLacks(m.Manifest)
	if err := fits(ctx, target, m.Manifest); err != nil {
		return "", err
	}
	if !r.isNamed() && rows > m.Content.Rows() {
		return "", backoff.Permanent(fmt.Errorf(
			"%s holds %s, which is more than the %s rows of %s, and nothing was changed: "+
				"to have that nevertheless, ask for it by this name",
			target.Database, holds, humanize.Comma(m.Content.Rows()), m.Name))
	}
	slog.Info("restoring", "from", m.Name, "server", cmp.Or(m.System, "not recorded"),
		"until", m.until.Format(time.RFC3339), "tables", len(m.Content.Tables), "rows", m.Content.Rows(),
		"over", cmp.Or(holds, "nothing"))
	if err := r.replace(ctx, target, m); err != nil {
		return "", err
	}
	r.done(ctx)
	info, err := os.Stat(m.dump)
	if err != nil {
		return "", err
	}
	said = fmt.Sprintf("restored %s from %s: %d tables, %s rows, %s in %s", target.Database, m.Name,
		len(m.Content.Tables),
		humanize.Comma(m.Content.Rows()), humanize.Bytes(uint64(info.Size())),
		time.Since(start).Round(time.Millisecond))
	if len(m.unlogged) > 0 {
		said += "; without the rows of unlogged tables, which are in no log: " + strings.Join(m.unlogged, ", ")
	}
	return said, nil
}

// restored says so if what is asked for was done. It fails if what is asked for depends on what this server
// is: since an earlier restore it is where the database lives, and no longer one that has nothing.
func (r restoration) restored(ctx context.Context, target *postgres.Target) (said string, err error) {
	last, err := target.LastRestore(ctx, r.asked)
	if err != nil {
		return "", fmt.Errorf("look for an earlier restore: %w", err)
	}
	if last == nil {
		return "", nil
	}
	at := last.At.UTC().Format(time.RFC3339)
	earlier := fmt.Sprintf("%s was restored from %s at %s", target.Database, last.From, at)
	if last.Fulfills {
		r.done(ctx)
		return "nothing to do: " + earlier, nil
	}
	if !r.isNamed() {
		return "", backoff.Permanent(fmt.Errorf(
			"%s, and %q takes nothing of the server that it restores into, so that all since would be lost: "+
				"ask for a time, or for a backup or an archive by its name, which backup list prints", earlier,
			r.asked.From))
	}
	return "", nil
}

// isNamed tells whether it is clear what was asked for, and not only that it is whatever came last.
func (r restoration) isNamed() bool {
	return r.asked.From != restorepoint.Latest && r.asked.From != restorepoint.End
}

// done lets old backups be deleted again.
func (r restoration) done(ctx context.Context) {
	if err := r.store.RestoreDone(ctx); err != nil {
		slog.Warn("backups of earlier servers are kept for a while", "error", err)
	}
}

func (r restoration) source(target *postgres.Target) source {
	if r.archived != nil {
		from := *r.archived
		from.system = target.System
		return from
	}
	return stored{store: r.store, identities: r.identities, name: r.asked.From, system: target.System}
}

// holds says what the database holds, and how many rows, and fails if that may not be replaced.
func (r restoration) holds(ctx context.Context, target *postgres.Target) (holds string, rows int64,
	err error) {
	if holds, rows, err = target.Holds(ctx); err != nil {
		return "", 0, fmt.Errorf("look into the database: %w", err)
	}
	if holds != "" && r.over != target.Database {
		return "", 0, backoff.Permanent(
			fmt.Errorf("%[1]s holds %[2]s, and nothing was changed: to have them backed up and replaced, set restoreOver to %[1]s (RESTORE_OVER)",
				target.Database, holds))
	}
	return holds, rows, nil
}

// fits fails if the server is not one for the database that a manifest describes.
func fits(ctx context.Context, target *postgres.Target, m manifest.Manifest) error {
	if m.Database != target.Database {
		return backoff.Permanent(fmt.Errorf(
			"%s is of database %s, and this is %s: look for a backup of its own under its own prefix (S3_PREFIX)",
			m.Name, m.Database, target.Database))
	}
	was, err := postgres.Major(m.Server)
	if err != nil {
		return backoff.Permanent(err)
	}
	if target.Major < was {
		return backoff.Permanent(fmt.Errorf(
			"%s is of Postgres %s, and the server of %s: take a server of Postgres %d or newer", m.Name, m.Server,
			target.Server, was))
	}
	missing, err := target.MissingRoles(ctx, m.Content.Roles)
	if err != nil {
		return fmt.Errorf("look for roles: %w", err)
	}
	if len(missing) > 0 {
		return backoff.Permanent(fmt.Errorf(
			"the server lacks roles that %s names: create them, without a password if need be: %s", m.Name,
			strings.Join(missing, ", ")))
	}
	return nil
}

// replace restores beside the database, compares, and only then changes something.
func (r restoration) replace(ctx context.Context, target *postgres.Target, m fetched) error {
	start := time.Now()
	if err := target.Restore(ctx, m.dump); err != nil {
		return fmt.Errorf("restore the dump: %w", err)
	}
	slog.Info("restored beside the database", "in", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	restored, err := target.Content(ctx)
	if err != nil {
		return fmt.Errorf("record the restored copy: %w", err)
	}
	if err := compare(ctx, &m.Manifest, restored); err != nil {
		return err
	}
	slog.Info("compared", "rows", restored.Rows(), "in", time.Since(start).Round(time.Millisecond))
	holds, _, err := r.holds(ctx, target)
	if err != nil {
		return err
	}
	if holds != "" {
		old, err := r.job.attempt(ctx, time.Now().UTC())
		if err != nil {
			return fmt.Errorf("back up what is replaced: %w", err)
		}
		slog.Info("backed up what is replaced", "held", holds, "backup", old.Name)
	}
	if err := target.Replace(ctx, r.asked, m.Name); err != nil {
		return fmt.Errorf("replace the database: %w", err)
	}
	return nil
}
