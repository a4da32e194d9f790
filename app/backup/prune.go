package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
)

const (
	// sweepAge is the age at which a dump without a manifest cannot be of a run in progress.
	sweepAge = 24 * time.Hour
	// pendingTime is how long a requested restore that was not done counts as pending.
	pendingTime = 7 * 24 * time.Hour
)

func prune(ctx context.Context, c config, _ []string) error {
	return pruneStore(ctx, c.store, c.retention)
}

// pruneStore deletes expired backups if the newest is whole, and what interrupted runs left.
func pruneStore(ctx context.Context, store *s3.Store, retention manifest.Retention) error {
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
		return fmt.Errorf("sweep what interrupted runs left: %w", err)
	}
	for _, name := range swept {
		slog.Info("swept", "run", name)
	}
	slog.Info("pruned", "deleted", len(expired), "kept", len(names)-len(expired), "swept", len(swept))
	return nil
}

// expired returns the names of expired backups. It leaves out earlier servers' while they may have to be
// restored.
func expired(
	ctx context.Context, store *s3.Store, retention manifest.Retention, names []string,
) ([]string, error) {
	backups := make([]manifest.Manifest, len(names))
	for i, name := range names {
		m, err := store.ReadManifest(ctx, name)
		switch {
		case errors.Is(err, s3.ErrDamaged), errors.Is(err, s3.ErrNone): // it has just been deleted
			slog.Warn("cannot tell which server a backup is from", "backup", name, "error", err)
		case err != nil:
			return nil, fmt.Errorf("find out which server backup %s is from: %w", name, err)
		}
		backups[i] = manifest.Manifest{Name: name, System: m.System}
	}
	now := time.Now()
	expired, err := retention.Expired(backups, now)
	if err != nil || len(expired) == 0 {
		return nil, err
	}
	past := manifest.WithoutFuture(names, now)
	newest, err := readIfWhole(ctx, store, past[len(past)-1])
	if err != nil {
		return nil, fmt.Errorf("nothing is deleted, for the newest backup may be the only one: %w", err)
	}
	reason, err := keepReason(ctx, store, newest)
	if err != nil || reason == "" {
		return expired, err
	}
	return slices.DeleteFunc(expired, func(name string) bool {
		if backups[slices.Index(names, name)].IsFrom(newest.System) {
			return false
		}
		slog.Info("kept a backup of an earlier server", "backup", name, "because", reason)
		return true
	}), nil
}

// keepReason says why backups of earlier servers are still needed; empty if they are not.
func keepReason(ctx context.Context, store *s3.Store, newest manifest.Manifest) (string, error) {
	requested, err := store.RestoreRequested(ctx)
	if err != nil {
		return "", fmt.Errorf("find out whether a restore is pending: %w", err)
	}
	if reason := pgbackrest.PendingRestore(requested, pendingTime); reason != "" {
		return reason, nil
	}
	if newest.Content.IsUnused() {
		return "the newest backup holds no rows", nil
	}
	return "", nil
}

// readIfWhole returns a backup's manifest. It fails if the manifest is damaged, or the dump has another size.
func readIfWhole(ctx context.Context, store *s3.Store, name string) (manifest.Manifest, error) {
	m, err := store.ReadManifest(ctx, name)
	if err != nil {
		return m, err
	}
	size, err := store.DumpSize(ctx, name)
	if err != nil {
		return m, fmt.Errorf("look for the dump of %s: %w", name, err)
	}
	if size != m.Dump.Size {
		return m, fmt.Errorf("%s: %w: it has %d bytes instead of %d", name, errDamaged, size, m.Dump.Size)
	}
	return m, nil
}
