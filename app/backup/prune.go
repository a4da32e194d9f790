package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/backup/archive"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
)

// sweepAge is when what a run without a manifest has stored is surely not a run's that still goes on.
const sweepAge = 24 * time.Hour

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
func tidy(ctx context.Context, store *s3.Store, retention archive.Retention) error {
	names, err := store.Names(ctx)
	if err != nil {
		return fmt.Errorf("list the backups: %w", err)
	}
	expired, err := retention.Expired(names)
	if err != nil {
		return err
	}
	if len(expired) > 0 {
		if err := isThere(ctx, store, names[len(names)-1]); err != nil {
			return fmt.Errorf("nothing is deleted, for the newest backup may be the only one: %w", err)
		}
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

// isThere fails unless a backup's manifest is sound and its dump has the size that stands there.
func isThere(ctx context.Context, store *s3.Store, name string) error {
	m, err := store.ReadManifest(ctx, name)
	if err != nil {
		return err
	}
	stored, err := store.DumpSize(ctx, name)
	if err != nil {
		return fmt.Errorf("look for the dump of %s: %w", name, err)
	}
	if stored != m.Dump.Size {
		return fmt.Errorf("%s: %w: it has %d bytes instead of %d", name, errDamaged, stored, m.Dump.Size)
	}
	return nil
}
