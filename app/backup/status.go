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
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

const lookAtMost = 30 * time.Second

// holdings are what is in the store.
type holdings struct {
	// backups is their number.
	backups int
	// newest is the newest one, and when it was taken; zero if there is none. One that is dated in the future
	// would hide for long that others fail.
	newest manifest.Manifest
	taken  time.Time
	// run is how the last run ended; zero if there was none.
	run s3.Run
}

func inspect(ctx context.Context, store *s3.Store) (is holdings, err error) {
	names, err := store.Names(ctx)
	if err != nil {
		return is, fmt.Errorf("list the backups: %w", err)
	}
	is.backups = len(names)
	if past := manifest.WithoutFuture(names, time.Now()); len(past) > 0 {
		if is.newest, err = store.ReadManifest(ctx, past[len(past)-1]); err != nil {
			return is, err
		}
		if is.taken, err = restorepoint.BackupTime(is.newest.Name); err != nil {
			return is, err
		}
	}
	is.run, err = store.LastRun(ctx)
	return is, err
}

// storeStatus is what programs are told of the store.
type storeStatus struct {
	// Backups is their number.
	Backups int           `json:"backups"`
	Newest  *newestBackup `json:"newest,omitempty"`
	LastRun *s3.Run       `json:"lastRun,omitempty"`
}

type newestBackup struct {
	Name     string    `json:"name"`
	Taken    time.Time `json:"taken"`
	Verified time.Time `json:"verified"`
	// Size is for people, such as "1.2 kB".
	Size string `json:"size"`
}

func status(ctx context.Context, _ []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lookAtMost,
		fmt.Errorf("the store has not answered within %s", lookAtMost))
	defer cancel()
	var e environment
	store, err := openStore(&e)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	is, err := inspect(ctx, store)
	if err != nil {
		return err
	}
	said := storeStatus{Backups: is.backups}
	if m := is.newest; m.Name != "" {
		said.Newest = &newestBackup{Name: m.Name, Taken: is.taken, Verified: m.Verified,
			Size: humanize.Bytes(uint64(m.Dump.Size))}
	}
	if !is.run.Ended.IsZero() {
		said.LastRun = &is.run
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}
