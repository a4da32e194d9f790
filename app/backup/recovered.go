package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
)

// recoveredServer has the database as it was. Whoever archives the log has made it, beside the server that is
// restored into.
type recoveredServer struct {
	config
	name string
	// until is zero for the end of the archive.
	until time.Time
}

func (r recoveredServer) fetch(ctx context.Context, _, dir string) (dump fetchedDump, err error) {
	address, err := r.address()
	if err != nil {
		return dump, err
	}
	snapshot, err := postgres.TakeSnapshot(ctx, address, true)
	if err != nil {
		return dump, fmt.Errorf("take a snapshot of the recovered server: %w", err)
	}
	defer snapshot.Close()
	dump = fetchedDump{path: filepath.Join(dir, "dump"), until: r.until, Manifest: manifest.Manifest{
		Name: r.name, Database: snapshot.Database, System: snapshot.System, Server: snapshot.Server,
		Client: snapshot.Client}}
	if r.until.IsZero() {
		dump.until = snapshot.Taken
	}
	job := backupJob{config: r.config, asSuperuser: true}
	job.recipient = nil // the file is gone with this pod
	if _, err := job.dump(ctx, snapshot, &dump.Manifest, intoFile(dump.path)); err != nil {
		return dump, err
	}
	if len(dump.Content.Tables) == 0 {
		return dump, backoff.Permanent(errors.New("the database had no tables then: ask for another time"))
	}
	// Nobody else uses the server.
	dump.Content.Sequences, err = snapshot.Sequences(ctx)
	return dump, err
}

// address is the URL of the database on the recovered server. The recovered server shows the certificate of
// the server that is restored into, so the name in it is another one and only its authority is verified.
func (r recoveredServer) address() (string, error) {
	address, err := r.database()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("read the URL of the database: it is none") // the cause would show the password
	}
	u.Host = r.restore.recovered
	if query := u.Query(); query.Get("sslmode") == "verify-full" {
		query.Set("sslmode", "verify-ca")
		u.RawQuery = query.Encode()
	}
	return u.String(), nil
}

// intoFile returns a function that writes a dump into a file.
func intoFile(path string) func(context.Context, string, io.Reader) error {
	return func(_ context.Context, _ string, dump io.Reader) error {
		file, err := os.Create(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if _, err := io.Copy(file, dump); err != nil {
			return err
		}
		return file.Close()
	}
}
