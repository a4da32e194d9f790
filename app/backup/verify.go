package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// verification is what verify shall do.
type verification struct{ all, checksums bool }

func (v verification) check(ctx context.Context, store *s3.Store, name string,
	identities []age.Identity) error {
	m, err := store.ReadManifest(ctx, name)
	if err != nil {
		return err
	}
	if v.checksums {
		return readBack(ctx, store, m, func(io.Reader) error { return nil })
	}
	if err := opens(m, identities); err != nil {
		return fmt.Errorf("%w, or compare checksums alone with --checksums", err)
	}
	restored, err := restoreCopy(ctx, store, m, identities)
	if err != nil {
		return err
	}
	client, _, err := postgres.ClientVersion(ctx)
	if err != nil {
		return err
	}
	if m.Client != client {
		slog.Info("not comparing the schema, which another version of pg_dump has in other words",
			"backup", name, "pg_dump", client, "was", m.Client)
		m.Content.Schema = restored.Schema
	}
	return compare(ctx, &m, restored)
}

func (v *verification) verify(ctx context.Context, args []string) error {
	verified, err := v.verifyAll(ctx, args)
	if len(verified) > 0 && len(args) == 0 {
		of, archiveErr := v.verifyArchive(ctx)
		verified, err = append(verified, of...), errors.Join(err, archiveErr)
	}
	if err != nil {
		return fmt.Errorf("not verified: %w", err)
	}
	how := "restored and compared"
	if v.checksums {
		how = "checksums compared"
	}
	reportSuccess(fmt.Sprintf("verified %s: %s", strings.Join(verified, ", "), how), "")
	return nil
}

func (v verification) verifyAll(ctx context.Context, args []string) ([]string, error) {
	var e environment
	identities := e.identities()
	store, err := openStore(&e)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	names, err := v.selected(ctx, store, args)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, name := range names {
		if err := v.check(ctx, store, name, identities); err != nil {
			slog.Error("not verified", "backup", name, "error", err)
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
		}
	}
	return names, errors.Join(failures...)
}

func (v verification) selected(ctx context.Context, store *s3.Store, args []string) ([]string, error) {
	if len(args) == 1 {
		if v.all {
			return nil, errors.New("verify takes either a name or --all")
		}
		_, err := restorepoint.BackupTime(args[0])
		return args, err
	}
	names, err := store.Names(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the backups: %w", err)
	}
	if len(names) == 0 {
		return nil, errNoBackup
	}
	if v.all {
		return names, nil
	}
	past := manifest.WithoutFuture(names, time.Now())
	return past[len(past)-1:], nil
}

var errNoBackup = errors.New("there is no backup yet: backup run makes one")
