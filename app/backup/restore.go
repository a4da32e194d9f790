package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/dustin/go-humanize"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// restoration replaces a database by a restored one.
type restoration struct {
	// backupJob backs up what is replaced.
	backupJob
	request postgres.RestoreRequest
}

func restore(ctx context.Context, c config, args []string) error {
	r := restoration{backupJob{config: c, asSuperuser: true},
		postgres.RestoreRequest{From: c.restore.from, ID: c.restore.request}}
	if len(args) == 1 {
		r.request.From = args[0]
	}
	message, err := r.run(ctx)
	if err != nil {
		return fmt.Errorf("not restored: %w", err)
	}
	reportSuccess(message, "")
	return nil
}

func (r restoration) run(ctx context.Context) (message string, err error) {
	if _, err := r.newSource(r.request.From, ""); err != nil {
		return "", fmt.Errorf("read the settings: %w", err)
	}
	if _, err := r.database(); err != nil {
		return "", fmt.Errorf("read the settings: %w", err)
	}
	return retry(ctx, r.retry, func() (string, error) { return r.attempt(ctx) })
}

// attempt returns what it has done.
func (r restoration) attempt(ctx context.Context) (message string, err error) {
	start := time.Now()
	address, err := r.database()
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
	if message, err := r.checkLastRestore(ctx, target); message != "" || err != nil {
		return message, err
	}
	if err := r.store.RequestRestore(ctx, r.request.From); err != nil {
		slog.Warn("cannot record the request: pruning meanwhile may delete what it restores", "error", err)
	}
	holds, err := r.checkReplaceable(ctx, target)
	if err != nil {
		return "", err
	}
	source, err := r.newSource(r.request.From, target.System)
	if err != nil {
		return "", err
	}
	if _, archived := source.(pointInTime); archived && holds.What != "" {
		if err := target.ArchiveWAL(ctx); err != nil {
			return "", fmt.Errorf("archive the log up to now: %w", err)
		}
	}
	dir, err := os.MkdirTemp(r.scratchDir, "restore-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	dump, err := source.fetch(ctx, target.Database, dir)
	if err != nil {
		return "", fmt.Errorf("fetch the dump: %w", err)
	}
	slog.Info("fetched", "from", dump.Name, "in", time.Since(start).Round(time.Millisecond))
	warnOfLacks(dump.Manifest)
	if err := r.checkDump(ctx, target, dump.Manifest, holds); err != nil {
		return "", err
	}
	slog.Info("restoring", "from", dump.Name, "server", cmp.Or(dump.System, "not recorded"),
		"until", dump.until.Format(time.RFC3339), "tables", len(dump.Content.Tables),
		"rows", dump.Content.Rows(), "over", cmp.Or(holds.What, "nothing"))
	if err := r.replace(ctx, target, dump); err != nil {
		return "", err
	}
	r.markDone(ctx)
	return summary(target.Database, dump, start)
}

func summary(database string, dump fetchedDump, start time.Time) (string, error) {
	info, err := os.Stat(dump.path)
	if err != nil {
		return "", err
	}
	message := fmt.Sprintf("restored %s from %s: %d tables, %s rows, %s in %s", database, dump.Name,
		len(dump.Content.Tables), humanize.Comma(dump.Content.Rows()), humanize.Bytes(uint64(info.Size())),
		time.Since(start).Round(time.Millisecond))
	if len(dump.unlogged) > 0 {
		message += "; without the rows of unlogged tables, which are in no log: " +
			strings.Join(dump.unlogged, ", ")
	}
	return message, nil
}

// checkLastRestore returns a message if an earlier restore did what is requested. It fails for latest and end
// after any other restore: the database has lived on this server since then.
func (r restoration) checkLastRestore(ctx context.Context, target *postgres.Target) (message string,
	err error) {
	last, err := target.LastRestore(ctx, r.request)
	if err != nil {
		return "", fmt.Errorf("look for an earlier restore: %w", err)
	}
	if last == nil {
		return "", nil
	}
	at := last.At.UTC().Format(time.RFC3339)
	earlier := fmt.Sprintf("%s was restored from %s at %s", target.Database, last.From, at)
	if last.Fulfills {
		r.markDone(ctx)
		return "nothing to do: " + earlier, nil
	}
	if !r.isNamed() {
		return "", backoff.Permanent(fmt.Errorf(
			"%s, and %q takes nothing of the server that it restores into, so everything since would be lost: "+
				"ask for a time, or for a backup or an archive by its name, which backup list prints", earlier,
			r.request.From))
	}
	return "", nil
}

// isNamed tells whether the request names one state, and not whatever came last.
func (r restoration) isNamed() bool {
	return r.request.From != restorepoint.Latest && r.request.From != restorepoint.End
}

// markDone lets old backups be deleted again.
func (r restoration) markDone(ctx context.Context) {
	if err := r.store.RestoreDone(ctx); err != nil {
		slog.Warn("cannot remove the request: backups of earlier servers are kept for a week", "error", err)
	}
}

// checkReplaceable returns what the database holds, and fails if that may not be replaced.
func (r restoration) checkReplaceable(
	ctx context.Context, target *postgres.Target,
) (holds postgres.Holdings, err error) {
	if holds, err = target.Holdings(ctx); err != nil {
		return holds, fmt.Errorf("look into the database: %w", err)
	}
	if holds.What != "" && !holds.Unused && r.restore.over != target.Database {
		return holds, backoff.Permanent(fmt.Errorf("%[1]s holds %[2]s, and nothing was changed: "+
			"to have them backed up and replaced, set restoreOver to %[1]s (RESTORE_OVER)",
			target.Database, holds.What))
	}
	return holds, nil
}

// checkDump fails if the dump is not for this server, or if it was not named and has fewer rows than the
// database.
func (r restoration) checkDump(
	ctx context.Context, target *postgres.Target, m manifest.Manifest, holds postgres.Holdings,
) error {
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
	if !r.isNamed() && !holds.Unused && holds.Rows > m.Content.Rows() {
		return backoff.Permanent(fmt.Errorf(
			"%s holds %s, which is more than the %s rows of %s, and nothing was changed: "+
				"to have that nevertheless, ask for it by this name",
			target.Database, holds.What, humanize.Comma(m.Content.Rows()), m.Name))
	}
	return nil
}

// replace restores beside the database, compares, backs up what the database holds, and then renames.
func (r restoration) replace(ctx context.Context, target *postgres.Target, dump fetchedDump) error {
	start := time.Now()
	if err := target.Restore(ctx, dump.path); err != nil {
		return fmt.Errorf("restore the dump: %w", err)
	}
	slog.Info("restored beside the database", "in", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	restored, err := target.Content(ctx)
	if err != nil {
		return fmt.Errorf("record the restored copy: %w", err)
	}
	if err := r.compare(ctx, &dump.Manifest, restored); err != nil {
		return err
	}
	slog.Info("compared", "rows", restored.Rows(), "in", time.Since(start).Round(time.Millisecond))
	holds, err := r.checkReplaceable(ctx, target)
	if err != nil {
		return err
	}
	if holds.What != "" {
		old, err := r.backupJob.attempt(ctx, time.Now().UTC())
		if err != nil {
			return fmt.Errorf("back up what is replaced: %w", err)
		}
		slog.Info("backed up what is replaced", "held", holds.What, "backup", old.Name)
		if _, err := r.checkReplaceable(ctx, target); err != nil { // an app may have written the first row since
			return err
		}
	}
	if err := target.Replace(ctx, r.request, dump.Name); err != nil {
		return fmt.Errorf("replace the database: %w", err)
	}
	return nil
}
