package main

import (
	"context"

	"github.com/stateful-k3s/stateful-k3s/app/backup/archive"
)

// source is a database as it was.
type source interface {
	// fetch leaves a dump of the database of that name in a folder, in the custom format of pg_dump. It returns the dump's path
	// and a manifest that says where it comes from and what must be in it: its name, database, server and content.
	fetch(ctx context.Context, database, dir string) (dump string, m archive.Manifest, err error)
}
