package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// Parts of the app, as commands of the test binary.
const (
	storing           = "store"
	recordingStoring  = "record-and-store"
	restoringArchived = "restore-archived"
)

// mainOrPart is main, or one of the parts.
func mainOrPart() {
	switch part := os.Args[len(os.Args)-1]; part {
	case storing, recordingStoring:
		service.Main(func(ctx context.Context) error { return storeDump(ctx, part == recordingStoring) })
	case restoringArchived:
		service.Main(restoreArchived)
	default:
		main()
	}
}

// storeDump is a run up to the restore, with or without the record of the content.
func storeDump(ctx context.Context, record bool) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	snapshot, err := postgres.TakeSnapshot(ctx, os.Getenv("URL"), false)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	m := manifest.Manifest{Name: restorepoint.NewBackup(snapshot.Taken)}
	if record {
		c.level = benchLevel
		_, err := backupJob{config: c}.dump(ctx, snapshot, &m, c.store.WriteDump)
		return err
	}
	dump, err := snapshot.Dump(ctx, benchLevel)
	if err != nil {
		return err
	}
	defer dump.Close()
	return c.store.WriteDump(ctx, m.Name, newDigest(dump))
}

// restoreArchived recovers the archive to a time once, and restores all databases from that, as a restore of
// each would.
func restoreArchived(ctx context.Context) error {
	c, err := readConfig()
	if err != nil {
		return err
	}
	stanzas, err := c.archive.Stanzas(ctx)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, os.Getenv("AT"))
	if err != nil {
		return err
	}
	spans, err := pointInTime{config: c, at: at}.candidates(stanzas)
	if err != nil {
		return err
	}
	server, err := c.recoverSpan(ctx, spans[0], at)
	if err != nil {
		return err
	}
	c.serverDir = os.Getenv("OTHER_SERVER_DIR") // the other one runs a server
	databases := make(chan string)
	go func() {
		defer close(databases)
		for _, database := range strings.Fields(os.Getenv("DATABASES")) {
			databases <- database
		}
	}()
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for database := range databases {
				if err := c.restoreOne(ctx, server, database); err != nil {
					slog.Error("not restored", "database", database, "error", err)
				}
			}
		})
	}
	group.Wait()
	return server.Close()
}

func (c config) restoreOne(ctx context.Context, server *postgres.ScratchServer, database string) error {
	dir, err := os.MkdirTemp(c.scratchDir, "restore-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	dump, err := dumpFrom(ctx, server, database, dir)
	if err != nil {
		return err
	}
	_, major, err := postgres.ClientVersion(ctx)
	if err != nil {
		return err
	}
	address := strings.Replace(os.Getenv("URL"), "/postgres?", "/"+database+"?", 1)
	target, err := postgres.OpenTarget(ctx, address, major)
	if err != nil {
		return err
	}
	defer target.Close()
	r := restoration{backupJob: backupJob{config: c}}
	if err := r.replace(ctx, target, dump); err != nil {
		return err
	}
	slog.Info("restored", "database", database, "unlogged", dump.unlogged)
	return nil
}
