package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
)

// sweepAge is when what a run without a manifest has stored is surely not a run's that still goes on.
const sweepAge = 24 * time.Hour

// askedFor is how long a restore that was not done may still be.
const askedFor = 7 * 24 * time.Hour

func prune(ctx context.Context, _ []string) error {
	var e environment
	retention := e.retention()
	store, err := openStore(&e)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	return tidy(ctx, store, retention)
}

// tidy deletes what is not kept, if the newest backup is whole.
func tidy(ctx context.Context, store *s3.Store, retention manifest.Retention) error {
	names, err := store.Names(ctx)
	if err != nil {
		return fmt.Errorf("list the backups: %w", err)
	}
	expired, err := expired(ctx, store, retention, names)
	if err != nil {
		return err
	}
	for _, name := range expired {
		if err := store.Delete(ctx, name); err != nil {
			return fmt.Errorf("delete %s: %w", name, err)
		}
		slog.Info("deleted", "backup", name)
	}
	swept, err := store.Sweep(ctx, time.Now().Add(-sweepAge))
	if err != nil {
		return fmt.Errorf("sweep what broken runs left: %w", err)
	}
	for _, name := range swept {
		slog.Info("swept", "run", name)
	}
	slog.Info("pruned", "deleted", len(expired), "kept", len(names)-len(expired), "swept", len(swept))
	return nil
}

// expired are the names of those backups that are not kept. Those of an earlier server are, as long as they
// may have to be restored.
func expired(
	ctx context.Context, store *s3.Store, retention manifest.Retention, names []string,
) ([]string, error) {
	backups := make([]manifest.Manifest, len(names))
	for i, name := range names {
		m, err := store.ReadManifest(ctx, name)
		if err != nil {
			slog.Warn("the server that a backup is of is not known", "backup", name, "error", err)
		}
		backups[i] = manifest.Manifest{Name: name, System: m.System}
	}
	now := time.Now()
	expired, err := retention.Expired(backups, now)
	if err != nil || len(expired) == 0 {
		return nil, err
	}
	past := manifest.WithoutFuture(names, now)
	newest, err := isThere(ctx, store, past[len(past)-1])
	if err != nil {
		return nil, fmt.Errorf("nothing is deleted, for the newest backup may be the only one: %w", err)
	}
	why, err := needed(ctx, store, newest)
	if err != nil || why == "" {
		return expired, err
	}
	return slices.DeleteFunc(expired, func(name string) bool {
		i := slices.Index(names, name)
		if backups[i].IsFrom(newest.System) {
			return false
		}
		slog.Info("kept a backup of an earlier server", "backup", name, "because", why)
		return true
	}), nil
}

// needed is why backups of earlier servers are kept; empty if they need not be.
func needed(ctx context.Context, store *s3.Store, newest manifest.Manifest) (why string, err error) {
	asked, err := store.RestoreRequested(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("look whether a restore was asked for: %w", err)
	case time.Since(asked) < askedFor:
		return fmt.Sprintf("a restore was asked for at %s and is not done", asked.Format(time.RFC3339)), nil
	case newest.Content.Rows() == 0:
		return "the newest backup holds no rows", nil
	}
	return "", nil
}

// isThere fails unless a backup's manifest, which it returns, is sound and its dump has the size that stands
// there.
func isThere(ctx context.Context, store *s3.Store, name string) (manifest.Manifest, error) {
	m, err := store.ReadManifest(ctx, name)
	if err != nil {
		return m, err
	}
	stored, err := store.DumpSize(ctx, name)
	if err != nil {
		return m, fmt.Errorf("look for the dump of %s: %w", name, err)
	}
	if stored != m.Dump.Size {
		return m, fmt.Errorf("%s: %w: it has %d bytes instead of %d", name, errDamaged, stored, m.Dump.Size)
	}
	return m, nil
}
