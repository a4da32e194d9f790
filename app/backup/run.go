package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"filippo.io/age"
	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// lastWords is how long a run that has ended tries to say so.
const lastWords = 10 * time.Second

// job makes backups.
type job struct {
	// address returns the URL of the database.
	address   func() (string, error)
	store     *s3.Store
	scratch   string
	level     int
	recipient *age.X25519Recipient
	retention manifest.Retention
	retry     time.Duration
	// superuser says that the database's address is that of one.
	superuser bool
}

func run(ctx context.Context, _ []string) error {
	m, err := backUp(ctx)
	if err != nil {
		return fmt.Errorf("no backup: %w", err)
	}
	reportSuccess(fmt.Sprintf("verified backup %s: %d tables, %d rows, %s in %s", m.Name, len(m.Content.Tables),
		m.Content.Rows(),
		humanize.Bytes(uint64(m.Dump.Size)), m.Duration().Round(time.Millisecond)), m.Name)
	return nil
}

func backUp(ctx context.Context) (manifest.Manifest, error) {
	var e environment
	j, err := newJob(&e)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("read the settings: %w", err)
	}
	m, err := j.run(ctx)
	j.note(ctx, m, err)
	if err != nil {
		return m, err
	}
	// The backup is made, whatever becomes of older ones: another run would not help them.
	if err := tidy(ctx, j.store, j.retention); err != nil {
		slog.Warn("no older backups were deleted", "error", err)
	}
	return m, nil
}

// newJob needs the settings that the environment has, all others of which are read by then.
func newJob(e *environment) (j job, err error) {
	j = job{
		scratch: os.Getenv("SCRATCH_DIR"), level: e.Number("COMPRESSION_LEVEL", 3, 1, 19),
		recipient: e.recipient(), retention: e.retention(), retry: e.Duration("RETRY", "10m"),
	}
	j.address = e.Database()
	_, err = j.address()
	e.Add(err)
	j.store, err = openStore(e)
	return j, err
}

// note leaves in the store how the run has ended.
func (j job) note(ctx context.Context, m manifest.Manifest, failure error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	run := s3.Run{Ended: time.Now().UTC(), Backup: m.Name}
	if failure != nil {
		run.Backup, run.Error = "", failure.Error()
	}
	if err := j.store.WriteLastRun(ctx, run); err != nil {
		slog.Warn("how this run ended is not in the store", "error", err)
	}
}

// run makes attempts.
func (j job) run(ctx context.Context) (manifest.Manifest, error) {
	started := time.Now().UTC()
	return retry(ctx, j.retry, func() (manifest.Manifest, error) {
		m, err := j.attempt(ctx, started)
		if s3.MayBeFull(err) {
			// Others were deleted after the last success, and may have expired since.
			if err := tidy(ctx, j.store, j.retention); err != nil {
				slog.Warn("no older backups were deleted", "error", err)
			}
			err = fmt.Errorf("%w; if the store is full, keep fewer (backupKeepDaily and the others), "+
				"and make room for now with env KEEP_DAILY=2 KEEP_WEEKLY=1 KEEP_MONTHLY=1 backup prune", err)
		}
		return m, err
	})
}

func (j job) attempt(ctx context.Context, started time.Time) (manifest.Manifest, error) {
	m := manifest.Manifest{Version: manifest.Version, Started: started}
	address, err := j.address()
	if err != nil {
		return m, err
	}
	client, major, err := postgres.ClientVersion(ctx)
	if err != nil {
		return m, fmt.Errorf("find pg_dump: %w: %w", postgres.ErrPermanent, err)
	}
	snapshot, err := postgres.TakeSnapshot(ctx, address, j.superuser, major)
	if err != nil {
		return m, fmt.Errorf("take a snapshot of the database: %w", err)
	}
	defer snapshot.Close()
	m.Name, m.Database, m.Server, m.Client = restorepoint.NewBackup(snapshot.Taken), snapshot.Database,
		snapshot.Server, client
	m.System = snapshot.System
	slog.Info("took a snapshot", "database", m.Database, "server", m.Server, "pg_dump", m.Client, "backup",
		m.Name)

	if m.Lacks, err = snapshot.Lacks(ctx); err != nil {
		return m, fmt.Errorf("look for what no backup holds: %w", err)
	}
	warnOfLacks(m)
	before, err := snapshot.Sequences(ctx)
	if err != nil {
		return m, fmt.Errorf("record the database: %w", err)
	}
	identity, err := j.dump(ctx, snapshot, &m)
	if err != nil {
		return m, err
	}
	after, err := snapshot.Sequences(ctx)
	if err != nil {
		return m, fmt.Errorf("record the database: %w", err)
	}
	snapshot.Close()

	restored, err := restoreCopy(ctx, j.store, m, identity)
	if err != nil {
		return m, err
	}
	m.Content.Sequences = manifest.ReconcileSequences(before, after, restored.Sequences)
	if err := compare(ctx, &m, restored); err != nil {
		return m, err
	}
	m.Verified = time.Now().UTC()
	if err := j.store.WriteManifest(ctx, m); err != nil {
		return m, fmt.Errorf("store the manifest: %w", err)
	}
	return m, nil
}

// warnOfLacks says what is not in a backup.
func warnOfLacks(m manifest.Manifest) {
	for _, what := range m.Lacks {
		slog.Warn("not in the backup", "backup", m.Name, "what", what)
	}
}

// dump stores a dump of the snapshot, and records at the same time what is in it. It returns the identities
// that open the dump.
func (j job) dump(ctx context.Context, snapshot *postgres.Snapshot, m *manifest.Manifest) ([]age.Identity,
	error) {
	start := time.Now()
	var identities []age.Identity
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if m.Content, err = snapshot.Content(ctx); err != nil {
			return fmt.Errorf("record the database: %w", err)
		}
		slog.Info("recorded", "tables", len(m.Content.Tables), "rows", m.Content.Rows(), "in",
			time.Since(start).Round(time.Millisecond))
		return nil
	})
	group.Go(func() (err error) {
		output, err := snapshot.Dump(ctx, j.level)
		if err != nil {
			return fmt.Errorf("dump the database: %w", err)
		}
		defer output.Close()
		var dump io.Reader = output
		if j.recipient != nil {
			m.Dump.Recipient = j.recipient.String()
			if dump, identities, err = encrypt(output, j.recipient); err != nil {
				return fmt.Errorf("encrypt the dump: %w", err)
			}
		}
		stored := newDigest(dump)
		if err := j.store.WriteDump(ctx, m.Name, stored); err != nil {
			if stored.err != nil {
				return fmt.Errorf("dump the database: %w", stored.err)
			}
			return fmt.Errorf("store the dump: %w", err)
		}
		m.Dump.Size, m.Dump.SHA256 = stored.size, stored.String()
		slog.Info("dumped and stored", "size", humanize.Bytes(uint64(m.Dump.Size)), "sha256", m.Dump.SHA256, "in",
			time.Since(start).Round(time.Millisecond))
		return nil
	})
	err := group.Wait()
	return identities, err
}

// encrypt returns a dump encrypted to the recipient, and to a key that is made for this and forgotten
// afterwards: with it the run reads back what it has stored, for which it would else need the recipient's
// own.
func encrypt(dump io.Reader, recipient *age.X25519Recipient) (io.Reader, []age.Identity, error) {
	once, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, nil, err
	}
	encrypted, err := age.EncryptReader(dump, recipient, once.Recipient())
	return encrypted, []age.Identity{once}, err
}
