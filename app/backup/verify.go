package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
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

// verifyArchive verifies the newest archive, or with --all each of them. It returns what it verified.
func (v verification) verifyArchive(ctx context.Context, c config) (verified []string, err error) {
	stanzas, err := c.archive.Stanzas(ctx)
	if err != nil {
		return nil, fmt.Errorf("look into the archive: %w", err)
	}
	stanzas = slices.DeleteFunc(stanzas, func(s pgbackrest.Stanza) bool {
		incomplete := errors.Is(s.Unreadable, pgbackrest.ErrIncomplete)
		if incomplete {
			slog.Warn("not verified, since nothing can be restored from it", "archive", s.Name, "error", s.Unreadable)
		}
		return incomplete
	})
	slices.SortFunc(stanzas, func(a, b pgbackrest.Stanza) int { return b.Changed.Compare(a.Changed) })
	if !v.all && len(stanzas) > 1 {
		stanzas = stanzas[:1]
	}
	var failures []error
	for _, s := range stanzas {
		verified = append(verified, "archive "+s.Name)
		if s.IsAfterRollback() {
			slog.Warn("the server was set back to an earlier state of its volume: "+
				"what it had archived after that is in another archive", "archive", s.Name)
		}
		if err := v.verifyStanza(ctx, c, s); err != nil {
			slog.Error("not verified", "archive", s.Name, "error", err)
			failures = append(failures, fmt.Errorf("archive %s: %w", s.Name, err))
		}
	}
	return verified, errors.Join(failures...)
}

// verifyStanza restores the newest base backup, replays all log since, and checks all tables and indexes.
func (v verification) verifyStanza(ctx context.Context, c config, s pgbackrest.Stanza) error {
	spans := s.Spans()
	switch {
	case s.Unreadable != nil:
		return s.Unreadable
	case len(spans) == 0:
		return errors.New("it holds no base backup")
	case v.checksums:
		return c.archive.Verify(ctx, s.Name)
	}
	newest := spans[len(spans)-1]
	if newest.Gap != "" {
		return fmt.Errorf("segment %s of the log is missing", newest.Gap)
	}
	server, err := c.recoverSpan(ctx, newest, time.Time{})
	if err != nil {
		return fmt.Errorf("restore base backup %s and replay the log: %w", newest.Backup.Label, err)
	}
	return errors.Join(server.Check(ctx), server.Close())
}
