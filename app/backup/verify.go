package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// verification has the flags of verify.
type verification struct{ all, checksums bool }

func (v *verification) verify(ctx context.Context, c config, args []string) error {
	verified, err := v.verifyBackups(ctx, c, args)
	if len(verified) > 0 && len(args) == 0 {
		archives, archiveErr := v.verifyArchive(ctx, c)
		verified, err = append(verified, archives...), errors.Join(err, archiveErr)
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

func (v verification) verifyBackups(ctx context.Context, c config, args []string) ([]string, error) {
	names, err := v.selectBackups(ctx, c, args)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, name := range names {
		if err := v.verifyBackup(ctx, c, name); err != nil {
			slog.Error("not verified", "backup", name, "error", err)
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
		}
	}
	return names, errors.Join(failures...)
}

func (v verification) selectBackups(ctx context.Context, c config, args []string) ([]string, error) {
	if len(args) == 1 {
		if v.all {
			return nil, errors.New("verify takes either a name or --all")
		}
		_, err := restorepoint.BackupTime(args[0])
		return args, err
	}
	names, err := c.store.Names(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the backups: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("there is no backup yet: backup run makes one")
	}
	if v.all {
		return names, nil
	}
	past := manifest.WithoutFuture(names, time.Now())
	return past[len(past)-1:], nil
}

func (v verification) verifyBackup(ctx context.Context, c config, name string) error {
	m, err := c.store.ReadManifest(ctx, name)
	if err != nil {
		return err
	}
	if v.checksums {
		return c.readBack(ctx, m, func(io.Reader) error { return nil })
	}
	if err := checkIdentity(m, c.identities); err != nil {
		return fmt.Errorf("%w, or compare checksums alone with --checksums", err)
	}
	restored, err := c.restoreScratch(ctx, m, c.identities)
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
	return c.compare(ctx, &m, restored)
}
