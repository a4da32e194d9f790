package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// move takes a database to a new major version of Postgres, from the old version's volume to a new one. The
// pod's own server starts only afterwards, so nobody uses either meanwhile.
type move struct{ oldVolume, volume, configuration, socketDir, database string }

// Names in the new volume.
const (
	dataFolder = "pgdata"
	// moving is a folder that is there from before the first file of a move until it is complete.
	moving = "moving"
	// movedFrom has the state of the old data at the time of the move.
	movedFrom    = "moved-from"
	dumpFile     = "dump"
	manifestFile = "manifest.json"
	rolesFile    = "roles.sql"
	// moveLevel of zstd is the fastest: the dump is read once, by the same pod.
	moveLevel = 1
)

// ownRoles are made by the pod at each start, with the passwords of that time.
var ownRoles = []string{"postgres", "reader", "restorer", "exporter"}

func readMove() (m move, err error) {
	var r settings.Reader
	m = move{
		oldVolume: r.Text("OLD_VOLUME", "", "/old"), volume: r.Text("VOLUME", "", "/data"),
		configuration: r.Text("CONFIG_FILE", "", "/etc/postgresql/postgresql.conf"),
		socketDir:     r.Text("SOCKET_DIR", "", "/var/run/postgresql"),
		database:      r.Text("DATABASE", "", "shop"),
	}
	return m, r.Err()
}

func (m move) old() string               { return filepath.Join(m.oldVolume, dataFolder) }
func (m move) new() string               { return filepath.Join(m.volume, dataFolder) }
func (m move) in(name string) string     { return filepath.Join(m.volume, name) }
func (m move) moving(file string) string { return filepath.Join(m.in(moving), file) }

func moveOut(ctx context.Context, _ []string) error {
	m, err := readMove()
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	if err := m.out(ctx); err != nil {
		return fmt.Errorf("not moved, and the old volume is as it was: %w", err)
	}
	return nil
}

func (m move) out(ctx context.Context) error {
	isMoving, err := exists(m.in(moving))
	if err != nil {
		return err
	}
	hasData, err := exists(m.new())
	if err != nil {
		return err
	}
	if hasData && !isMoving {
		return m.mustBeCurrent(ctx)
	}
	if err := postgres.Lock(ctx, m.oldVolume); err != nil {
		return err
	}
	if err := m.begin(); err != nil {
		return err
	}
	// Some storage drivers make volumes writable for their group, and Postgres refuses such data.
	if err := os.Chmod(m.old(), 0o700); err != nil {
		return err
	}
	server, err := postgres.StartLocal(ctx, m.old(), m.configuration, m.socketDir)
	if err != nil && ctx.Err() == nil {
		slog.Warn("the old server does not start with the parameters of the new one", "error", err)
		server, err = postgres.StartLocal(ctx, m.old(), filepath.Join(m.old(), "postgresql.conf"), m.socketDir)
	}
	if err != nil {
		return err
	}
	err = m.dump(ctx, server)
	if err := errors.Join(err, server.Stop()); err != nil {
		return err
	}
	state, err := postgres.State(ctx, m.old())
	if err != nil {
		return err
	}
	return writeFile(m.in(movedFrom), []byte(state))
}

// mustBeCurrent fails if the old server has run since the move: what it has written then is not here.
func (m move) mustBeCurrent(ctx context.Context) error {
	then, err := os.ReadFile(m.in(movedFrom))
	if err != nil {
		return fmt.Errorf("the new volume has data of something else than a move: %w", err)
	}
	now, err := postgres.State(ctx, m.old())
	if err != nil {
		return err
	}
	if now != string(then) {
		return fmt.Errorf("the old server has run on its own volume after the move, so the new volume lacks what "+
			"was written then, and nothing was changed: set postgresImage to the old version again; to move anew, "+
			"delete the claim of the new version first. The old volume was at %s, and is at %s",
			strings.ReplaceAll(string(then), "\n", ", "), strings.ReplaceAll(now, "\n", ", "))
	}
	return nil
}

// begin removes what an interrupted move has left. Only a move has the folder moving.
func (m move) begin() error {
	if err := os.MkdirAll(m.in(moving), 0o700); err != nil {
		return err
	}
	if err := syncFolder(m.volume); err != nil {
		return err
	}
	for _, left := range []string{m.new(), m.new() + ".new", m.moving(dumpFile), m.moving(manifestFile)} {
		if err := os.RemoveAll(left); err != nil {
			return err
		}
	}
	return nil
}

func (m move) dump(ctx context.Context, server *postgres.LocalServer) error {
	start := time.Now()
	roles, err := server.Roles(ctx, append(ownRoles, m.database)...)
	if err != nil {
		return fmt.Errorf("list the roles: %w", err)
	}
	if err := writeFile(m.moving(rolesFile), []byte(roles)); err != nil {
		return err
	}
	snapshot, err := postgres.TakeSnapshot(ctx, server.URL(m.database), true)
	if err != nil {
		return fmt.Errorf("take a snapshot of the database: %w", err)
	}
	defer snapshot.Close()
	made := manifest.Manifest{Version: manifest.Version, Started: start.UTC(),
		Name: restorepoint.NewBackup(snapshot.Taken), Database: snapshot.Database, Server: snapshot.Server,
		Client: snapshot.Client, System: snapshot.System}
	if made.Lacks, err = snapshot.Lacks(ctx); err != nil {
		return fmt.Errorf("list what does not move: %w", err)
	}
	for _, what := range made.Lacks {
		slog.Warn("does not move", "what", what)
	}
	job := backupJob{config: config{level: moveLevel}}
	if _, err := job.dump(ctx, snapshot, &made, m.writeDump); err != nil {
		return err
	}
	if made.Content.Sequences, err = snapshot.Sequences(ctx); err != nil {
		return fmt.Errorf("record the sequences: %w", err)
	}
	made.Verified = time.Now().UTC()
	encoded, err := json.Marshal(made)
	if err != nil {
		return err
	}
	slog.Info("moved out", "server", made.Server, "tables", len(made.Content.Tables),
		"rows", made.Content.Rows(), "in", time.Since(start).Round(time.Millisecond))
	return writeFile(m.moving(manifestFile), encoded)
}

func (m move) writeDump(_ context.Context, _ string, dump io.Reader) error {
	file, err := os.Create(m.moving(dumpFile))
	if err != nil {
		return err
	}
	_, err = io.Copy(file, dump)
	return errors.Join(err, file.Sync(), file.Close())
}

func moveIn(ctx context.Context, _ []string) error {
	m, err := readMove()
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	isMoving, err := exists(m.in(moving))
	if err == nil && isMoving {
		err = m.complete(ctx)
	}
	if err != nil {
		return fmt.Errorf("not moved, and the old volume is as it was: %w", err)
	}
	return nil
}

func (m move) complete(ctx context.Context) error {
	if err := postgres.Lock(ctx, m.volume); err != nil {
		return err
	}
	server, err := postgres.StartLocal(ctx, m.new(), m.configuration, m.socketDir)
	if err != nil {
		return err
	}
	err = m.restore(ctx, server)
	if err := errors.Join(err, server.Stop()); err != nil {
		return err
	}
	// From here on the new volume has the database, and the pod's server starts.
	if err := os.Rename(m.in(moving), m.in(moving+".done")); err != nil {
		return err
	}
	return errors.Join(syncFolder(m.volume), os.RemoveAll(m.in(moving+".done")))
}

func (m move) restore(ctx context.Context, server *postgres.LocalServer) error {
	encoded, err := os.ReadFile(m.moving(manifestFile))
	if err != nil {
		return err
	}
	var made manifest.Manifest
	if err := json.Unmarshal(encoded, &made); err != nil {
		return err
	}
	roles, err := os.ReadFile(m.moving(rolesFile))
	if err != nil {
		return err
	}
	if err := server.MakeRoles(ctx, string(roles)); err != nil {
		return fmt.Errorf("make the roles: %w", err)
	}
	_, major, err := postgres.ClientVersion(ctx)
	if err != nil {
		return err
	}
	target, err := postgres.OpenTarget(ctx, server.URL(m.database), major)
	if err != nil {
		return err
	}
	defer target.Close()
	request := postgres.RestoreRequest{From: movedFrom, ID: made.Name}
	last, err := target.LastRestore(ctx, request)
	if err != nil {
		return err
	}
	if last == nil || !last.Fulfills {
		if err := m.replace(ctx, target, made, request); err != nil {
			return err
		}
	}
	if err := server.Analyze(ctx, m.database); err != nil {
		return fmt.Errorf("count for the planner: %w", err)
	}
	reportSuccess(fmt.Sprintf("moved %s from Postgres %s to %s: %d tables, %d rows, in %s", m.database,
		made.Server, target.Server, len(made.Content.Tables), made.Content.Rows(),
		time.Since(made.Started).Round(time.Millisecond)), "")
	return nil
}

// replace restores the dump beside the empty database, compares, and gives it its name.
func (m move) replace(ctx context.Context, target *postgres.Target, made manifest.Manifest,
	request postgres.RestoreRequest) error {
	if err := target.Restore(ctx, m.moving(dumpFile)); err != nil {
		return fmt.Errorf("restore the dump: %w", err)
	}
	restored, err := target.Content(ctx)
	if err != nil {
		return fmt.Errorf("record the restored copy: %w", err)
	}
	// The new version has the same schema in other words. The backup before the move has compared it.
	made.Content = made.Content.WithSchemaOf(restored)
	if err := (config{}).compare(ctx, &made, restored); err != nil {
		return err
	}
	if err := target.Replace(ctx, request, made.Name); err != nil {
		return fmt.Errorf("replace the empty database: %w", err)
	}
	return nil
}
