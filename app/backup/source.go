package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/cenkalti/backoff/v5"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// source is a database as it was.
type source interface {
	// fetch leaves a dump of the database of that name in a folder.
	fetch(ctx context.Context, database, dir string) (fetched, error)
}

// fetched has a manifest that says where the database comes from and what must be in it: its name, database,
// servers and content.
type fetched struct {
	manifest.Manifest
	// dump is the path of a dump in the custom format of pg_dump.
	dump string
	// until is the time up to which all is in it.
	until time.Time
	// unlogged are tables whose rows are not in it.
	unlogged []string
}

// archived is the source of what only the archive has; nil for what names a backup.
func (e *environment) archived(what string) *pointInTime {
	if what == restorepoint.End {
		return &pointInTime{}
	}
	if stanza := restorepoint.ArchiveStanza(what); stanza != "" {
		return &pointInTime{archive: stanza}
	}
	if at, err := time.Parse(time.RFC3339, what); err == nil {
		return &pointInTime{at: at}
	}
	if !restorepoint.IsBackup(what) && what != restorepoint.Latest && what != "" {
		e.Fault("RESTORE_FROM",
			"%q is none of: %s, a name that backup list prints, a time such as 2026-11-22T14:05:00Z, %s",
			what, restorepoint.Latest, restorepoint.End)
	}
	return nil
}

// stored is a backup as a source: one by its name, or the latest.
type stored struct {
	store      *s3.Store
	identities []age.Identity
	name       string
	// system is the identifier of the server that is restored to.
	system string
}

func (s stored) fetch(ctx context.Context, _, dir string) (fetched, error) {
	m, err := s.manifest(ctx)
	if err != nil {
		return fetched{}, lasting(err)
	}
	if err := opens(m, s.identities); err != nil {
		return fetched{}, backoff.Permanent(err)
	}
	dump := filepath.Join(dir, "dump")
	if err := s.download(ctx, m, dump); err != nil {
		return fetched{}, lasting(err)
	}
	client, _, err := postgres.ClientVersion(ctx)
	if err != nil {
		return fetched{}, err
	}
	if m.Client != client {
		slog.Info("making the schema anew to compare with", "pg_dump", client, "was", m.Client)
		file, err := os.Open(dump)
		if err != nil {
			return fetched{}, err
		}
		defer file.Close()
		again, err := reread(ctx, m, file)
		if err != nil {
			return fetched{}, fmt.Errorf("restore the schema into a throwaway server: %w", err)
		}
		m.Content = m.Content.WithSchemaOf(again)
	}
	taken, err := restorepoint.BackupTime(m.Name)
	return fetched{Manifest: m, dump: dump, until: taken}, err
}

// lasting marks what another attempt does not cure.
func lasting(err error) error {
	switch {
	case errors.Is(err, s3.ErrNone):
		return backoff.Permanent(err)
	case errors.Is(err, s3.ErrDamaged):
		return backoff.Permanent(fmt.Errorf("%w: restore another one by its name, which backup list prints", err))
	}
	return err
}

func (s stored) manifest(ctx context.Context) (manifest.Manifest, error) {
	if s.name == restorepoint.Latest {
		return s.latest(ctx)
	}
	return s.store.ReadManifest(ctx, s.name)
}

// download leaves the dump in a file.
func (s stored) download(ctx context.Context, m manifest.Manifest, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	err = readBack(ctx, s.store, m, func(stored io.Reader) error {
		dump, err := decrypt(stored, m, s.identities)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, dump)
		return err
	})
	if err != nil {
		return err
	}
	return file.Close()
}

// latest is the newest backup that brings back what was lost: of no database in which nothing was yet, and
// not of the server that is restored into, for that would bring back what is there.
func (s stored) latest(ctx context.Context) (manifest.Manifest, error) {
	names, err := s.store.Names(ctx)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("list the backups: %w", err)
	}
	past := manifest.WithoutFuture(names, time.Now())
	passOver := func(name, why string) { slog.Info("passed over", "backup", name, "because", why) }
	for _, name := range slices.Backward(names) {
		if !slices.Contains(past, name) {
			passOver(name, "it is dated in the future")
		}
	}
	var own string
	for _, name := range slices.Backward(past) {
		m, err := s.store.ReadManifest(ctx, name)
		switch {
		case err != nil:
			return m, err
		case len(m.Content.Tables) == 0:
			passOver(name, "it has no tables")
		case m.IsFrom(s.system):
			passOver(name, "it is of the server that is restored into")
			own = cmp.Or(own, name)
		default:
			return m, nil
		}
	}
	if own == "" {
		return manifest.Manifest{}, backoff.Permanent(errors.New("there is no backup that has a table"))
	}
	return manifest.Manifest{}, backoff.Permanent(fmt.Errorf(
		"all backups that have a table are of the very server that is restored into: "+
			"to go back to the newest of them, ask for it by its name, %s", own))
}
