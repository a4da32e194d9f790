package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

const storeTimeout = 30 * time.Second

// storeState is a summary of the store.
type storeState struct {
	backups int
	// newest and taken are zero without a backup. A backup dated in the future does not count: it would hide for
	// long that runs fail.
	newest manifest.Manifest
	taken  time.Time
	// run is how the last run ended; zero if there was none.
	run s3.Run
}

func readStoreState(ctx context.Context, store *s3.Store) (state storeState, err error) {
	names, err := store.Names(ctx)
	if err != nil {
		return state, fmt.Errorf("list the backups: %w", err)
	}
	state.backups = len(names)
	if past := manifest.WithoutFuture(names, time.Now()); len(past) > 0 {
		if state.newest, err = store.ReadManifest(ctx, past[len(past)-1]); err != nil {
			return state, err
		}
		if state.taken, err = restorepoint.BackupTime(state.newest.Name); err != nil {
			return state, err
		}
	}
	state.run, err = store.LastRun(ctx)
	return state, err
}

// storeStatus is what status prints.
type storeStatus struct {
	// Backups is the number of backups.
	Backups int           `json:"backups"`
	Newest  *newestBackup `json:"newest,omitempty"`
	LastRun *s3.Run       `json:"lastRun,omitempty"`
	Archive *logArchive   `json:"archive,omitempty"`
}

// logArchive is what the store has of the log.
type logArchive struct {
	// Last is when the newest file was stored.
	Last time.Time `json:"last"`
	// Size is for people, such as "1.2 kB".
	Size string `json:"size"`
	// Gap says that log is missing.
	Gap bool `json:"gap,omitempty"`
}

type newestBackup struct {
	Name     string    `json:"name"`
	Taken    time.Time `json:"taken"`
	Verified time.Time `json:"verified"`
	// Size is for people, such as "1.2 kB".
	Size string `json:"size"`
}

func status(ctx context.Context, c config, _ []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, storeTimeout,
		fmt.Errorf("the store has not answered within %s", storeTimeout))
	defer cancel()
	state, err := readStoreState(ctx, c.store)
	if err != nil {
		return err
	}
	status := storeStatus{Backups: state.backups}
	if m := state.newest; m.Name != "" {
		status.Newest = &newestBackup{Name: m.Name, Taken: state.taken, Verified: m.Verified,
			Size: humanize.Bytes(uint64(m.Dump.Size))}
	}
	if !state.run.Ended.IsZero() {
		status.LastRun = &state.run
	}
	archive, err := c.store.Archive(ctx)
	if err != nil {
		return fmt.Errorf("list the archive: %w", err)
	}
	if is := pgbackrest.Summarize(archive); !is.Last.IsZero() {
		status.Archive = &logArchive{Last: is.Last, Size: humanize.Bytes(uint64(is.Size)), Gap: is.Gap}
	}
	return json.NewEncoder(os.Stdout).Encode(status)
}
