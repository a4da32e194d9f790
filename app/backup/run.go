package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"filippo.io/age"
	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// lastRunTimeout is how long a run that has ended tries to record that in the store.
const lastRunTimeout = 10 * time.Second

// backupJob makes backups.
type backupJob struct {
	config
	// asSuperuser says that the URL has the role of a superuser.
	asSuperuser bool
}

func run(ctx context.Context, c config, _ []string) error {
	return backupJob{config: c}.complete(ctx)
}

// prepareUpgrade makes the database one that pg_upgrade takes, and a backup before that happens.
func prepareUpgrade(ctx context.Context, c config, _ []string) error {
	address, err := c.database()
	if err == nil {
		err = postgres.PrepareUpgrade(ctx, address)
	}
	if err != nil {
		return fmt.Errorf("prepare the upgrade: %w", err)
	}
	return backupJob{config: c, asSuperuser: true}.complete(ctx)
}

// complete makes a backup, tells of it, and prunes.
func (j backupJob) complete(ctx context.Context) error {
	if _, err := j.database(); err != nil {
		return fmt.Errorf("no backup: read the settings: %w", err)
	}
	m, err := j.run(ctx)
	j.recordRun(ctx, m, err)
	j.heartbeat.Tell(ctx, err)
	if err != nil {
		return fmt.Errorf("no backup: %w", err)
	}
	// The backup is made, even if older ones cannot be deleted: another run would not help them.
	j.tryPrune(ctx)
	reportSuccess(fmt.Sprintf("verified backup %s: %d tables, %d rows, %s in %s",
		m.Name, len(m.Content.Tables), m.Content.Rows(), humanize.Bytes(uint64(m.Dump.Size)),
		m.Duration().Round(time.Millisecond)), m.Name)
	return nil
}

func (j backupJob) tryPrune(ctx context.Context) {
	if err := pruneStore(ctx, j.store, j.retention); err != nil {
		slog.Warn("older backups were not deleted", "error", err)
	}
}

// recordRun records in the store how the run ended.
func (j backupJob) recordRun(ctx context.Context, m manifest.Manifest, failure error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRunTimeout)
	defer cancel()
	run := s3.Run{Ended: time.Now().UTC(), Backup: m.Name}
	if failure != nil {
		run.Backup, run.Error = "", failure.Error()
	}
	if err := j.store.WriteLastRun(ctx, run); err != nil {
		slog.Warn("cannot record in the store how this run ended", "error", err)
	}
}

// run makes a backup, in as many attempts as it takes.
func (j backupJob) run(ctx context.Context) (manifest.Manifest, error) {
	started := time.Now().UTC()
	return retry(ctx, j.retry, func() (manifest.Manifest, error) {
		m, err := j.attempt(ctx, started)
		if s3.MayBeFull(err) {
			j.tryPrune(ctx) // more may have expired since the last success
			err = fmt.Errorf("%w; if the store is full, keep fewer (backupKeepDaily and the others), "+
				"and make room for now with env KEEP_DAILY=2 KEEP_WEEKLY=1 KEEP_MONTHLY=1 backup prune", err)
		}
		return m, err
	})
}

func (j backupJob) attempt(ctx context.Context, started time.Time) (manifest.Manifest, error) {
	m := manifest.Manifest{Version: manifest.Version, Started: started}
	address, err := j.database()
	if err != nil {
		return m, err
	}
	snapshot, err := postgres.TakeSnapshot(ctx, address, j.asSuperuser)
	if err != nil {
		return m, fmt.Errorf("take a snapshot of the database: %w", err)
	}
	defer snapshot.Close()
	m.Name, m.Database, m.System = restorepoint.NewBackup(snapshot.Taken), snapshot.Database, snapshot.System
	m.Server, m.Client = snapshot.Server, snapshot.Client
	slog.Info("took a snapshot",
		"database", m.Database, "server", m.Server, "pg_dump", m.Client, "backup", m.Name)
	if m.Lacks, err = snapshot.Lacks(ctx); err != nil {
		return m, fmt.Errorf("list what the backup lacks: %w", err)
	}
	warnOfLacks(m)
	before, err := snapshot.Sequences(ctx)
	if err != nil {
		return m, fmt.Errorf("record the database: %w", err)
	}
	identity, err := j.dump(ctx, snapshot, &m, j.store.WriteDump)
	if err != nil {
		return m, err
	}
	after, err := snapshot.Sequences(ctx)
	if err != nil {
		return m, fmt.Errorf("record the database: %w", err)
	}
	snapshot.Close()
	restored, err := j.restoreScratch(ctx, m, identity)
	if err != nil {
		return m, err
	}
	m.Content.Sequences = manifest.ReconcileSequences(before, after, restored.Sequences)
	if err := j.compare(ctx, &m, restored); err != nil {
		return m, err
	}
	m.Verified = time.Now().UTC()
	if err := j.store.WriteManifest(ctx, m); err != nil {
		return m, fmt.Errorf("store the manifest: %w", err)
	}
	return m, nil
}

func warnOfLacks(m manifest.Manifest) {
	for _, what := range m.Lacks {
		slog.Warn("not in the backup", "backup", m.Name, "what", what)
	}
}

// dump writes a dump of the snapshot, and at the same time records the content of the snapshot. It returns
// the identities that open the dump.
func (j backupJob) dump(
	ctx context.Context, snapshot *postgres.Snapshot, m *manifest.Manifest,
	write func(ctx context.Context, name string, dump io.Reader) error,
) (identities []age.Identity, err error) {
	start := time.Now()
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
		if err := write(ctx, m.Name, stored); err != nil {
			if stored.err != nil {
				return fmt.Errorf("dump the database: %w", stored.err)
			}
			return fmt.Errorf("store the dump: %w", err)
		}
		m.Dump.Size, m.Dump.SHA256 = stored.size, stored.String()
		slog.Info("dumped and stored", "size", humanize.Bytes(uint64(m.Dump.Size)), "sha256", m.Dump.SHA256,
			"in", time.Since(start).Round(time.Millisecond))
		return nil
	})
	err = group.Wait()
	return identities, err
}

// encrypt encrypts a dump to the recipient and to a key that is forgotten after the run. The run reads the
// dump back with that key, since it does not have the recipient's.
func encrypt(dump io.Reader, recipient *age.X25519Recipient) (io.Reader, []age.Identity, error) {
	once, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, nil, err
	}
	encrypted, err := age.EncryptReader(dump, recipient, once.Recipient())
	return encrypted, []age.Identity{once}, err
}
