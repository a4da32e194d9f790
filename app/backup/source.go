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

	"github.com/cenkalti/backoff/v5"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// source is where a restore gets a dump from.
type source interface {
	// fetch writes a dump of a database into a folder.
	fetch(ctx context.Context, database, dir string) (fetchedDump, error)
}

// fetchedDump is a dump with a manifest that names its origin and content.
type fetchedDump struct {
	manifest.Manifest
	// path is the file of the dump, in the custom format of pg_dump.
	path string
	// until is the last moment that is in it.
	until time.Time
	// unlogged are tables that are in it without their rows.
	unlogged []string
}

// newSource returns the source that a text names. System identifies the server that is restored into.
func (c config) newSource(from, system string) (source, error) {
	if from == restorepoint.Latest || restorepoint.IsBackup(from) {
		return storedBackup{config: c, name: from, system: system}, nil
	}
	at, err := time.Parse(time.RFC3339, from)
	if c.restore.recovered != "" && (err == nil || from == restorepoint.End) {
		return recoveredServer{config: c, name: from, until: at}, nil
	}
	if from == restorepoint.End {
		return pointInTime{config: c, system: system}, nil
	}
	if stanza := restorepoint.ArchiveStanza(from); stanza != "" {
		return pointInTime{config: c, system: system, stanza: stanza}, nil
	}
	if err == nil {
		return pointInTime{config: c, system: system, at: at}, nil
	}
	if from == "" {
		return nil, fmt.Errorf("RESTORE_FROM: is not set; for example: RESTORE_FROM=%s", restorepoint.Latest)
	}
	return nil, fmt.Errorf(
		"RESTORE_FROM: %q is none of: %s, a name that backup list prints, a time such as 2026-11-22T14:05:00Z, %s",
		from, restorepoint.Latest, restorepoint.End)
}

// storedBackup is a backup by its name, or the latest.
type storedBackup struct {
	config
	name, system string
}

func (s storedBackup) fetch(ctx context.Context, _, dir string) (fetchedDump, error) {
	m, err := s.manifest(ctx)
	if err != nil {
		return fetchedDump{}, permanentIfLost(err)
	}
	if err := checkIdentity(m, s.identities); err != nil {
		return fetchedDump{}, backoff.Permanent(err)
	}
	path := filepath.Join(dir, "dump")
	if err := s.download(ctx, m, path); err != nil {
		return fetchedDump{}, permanentIfLost(err)
	}
	client, _, err := postgres.ClientVersion(ctx)
	if err != nil {
		return fetchedDump{}, err
	}
	if m.Client != client {
		slog.Info("restoring the schema to compare it in the words of this pg_dump",
			"pg_dump", client, "was", m.Client)
		file, err := os.Open(path)
		if err != nil {
			return fetchedDump{}, err
		}
		defer file.Close()
		reparsed, err := s.reparseSchema(ctx, m, file)
		if err != nil {
			return fetchedDump{}, fmt.Errorf("restore the schema into a throwaway server: %w", err)
		}
		m.Content = m.Content.WithSchemaOf(reparsed)
	}
	taken, err := restorepoint.BackupTime(m.Name)
	return fetchedDump{Manifest: m, path: path, until: taken}, err
}

// permanentIfLost marks an error that a retry does not cure.
func permanentIfLost(err error) error {
	switch {
	case errors.Is(err, s3.ErrNone):
		return backoff.Permanent(err)
	case errors.Is(err, s3.ErrDamaged):
		return backoff.Permanent(fmt.Errorf("%w: restore another one by its name, which backup list prints", err))
	}
	return err
}

func (s storedBackup) manifest(ctx context.Context) (manifest.Manifest, error) {
	if s.name == restorepoint.Latest {
		return s.latest(ctx)
	}
	return s.store.ReadManifest(ctx, s.name)
}

// download writes the decrypted dump into a file.
func (s storedBackup) download(ctx context.Context, m manifest.Manifest, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	err = s.readBack(ctx, m, func(stored io.Reader) error {
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

// latest returns the newest backup that has tables and is of another server than the one restored into:
// backups of this one would only bring back what is there.
func (s storedBackup) latest(ctx context.Context) (manifest.Manifest, error) {
	names, err := s.store.Names(ctx)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("list the backups: %w", err)
	}
	skip := func(name, reason string) { slog.Info("passed over", "backup", name, "because", reason) }
	past := manifest.WithoutFuture(names, time.Now())
	for _, name := range slices.Backward(names) {
		if !slices.Contains(past, name) {
			skip(name, "it is dated in the future")
		}
	}
	var own string
	for _, name := range slices.Backward(past) {
		m, err := s.store.ReadManifest(ctx, name)
		switch {
		case err != nil:
			return m, err
		case len(m.Content.Tables) == 0:
			skip(name, "it has no tables")
		case m.IsFrom(s.system):
			skip(name, "it is of the server that is restored into")
			own = cmp.Or(own, name)
		default:
			return m, nil
		}
	}
	if own == "" {
		return manifest.Manifest{}, backoff.Permanent(errors.New("there is no backup that has a table"))
	}
	return manifest.Manifest{}, backoff.Permanent(fmt.Errorf(
		"all backups that have a table are of the server to restore into: "+
			"to go back to the newest of them, ask for it by its name, %s", own))
}
