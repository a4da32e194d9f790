// Package archivertest runs app/archiver beside the Postgres servers of tests.
package archivertest

import (
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

// Archiver archives one server.
type Archiver struct {
	*apptest.Process
	t         testing.TB
	tree      *imagetest.Tree
	db        *postgrestest.Server
	secretKey string // its file
}

// Start archives a server with an account of the store, below the prefix of the same name, and further
// settings. It returns when the first base backup is made.
func Start(
	t testing.TB, tree *imagetest.Tree, db *postgrestest.Server, store *storagetest.Server, account string,
	settings ...string,
) *Archiver {
	t.Helper()
	program := tree.Copy(program.Path(t))
	name := path.Base(tree.TempDir())
	a := &Archiver{t: t, tree: tree, db: db, secretKey: name + ".secret-key"}
	certificate, err := os.ReadFile(store.CAFile())
	require.NoError(t, err)
	settings = append(append(db.Local(),
		"S3_ENDPOINT="+store.Endpoint(), "S3_PREFIX="+account, "S3_BUCKET="+storagetest.Bucket,
		"S3_ACCESS_KEY_FILE="+tree.File(name+".access-key", account),
		"S3_SECRET_KEY_FILE="+tree.File(a.secretKey, store.SecretKey(account)),
		"S3_CA_FILE="+tree.File(name+".ca.crt", string(certificate)),
		"ARCHIVE_LOOK_EVERY=200ms", "TMPDIR="+tree.TempDir(),
	), settings...)
	db.Archive(program+" push %p # pgbackrest looks for its name here", settings...)
	a.Process = apptest.StartCommand(t, tree.Command(program, "run"), settings...)
	a.WaitForBackups(1)
	return a
}

// WaitForBackups returns when that many base backups were made.
func (a *Archiver) WaitForBackups(number int) {
	a.t.Helper()
	a.Eventually(func() bool { return strings.Count(a.Logged(), `msg="made a base backup"`) >= number })
}

// SetSecretKey does what a changed Secret does in a pod.
func (a *Archiver) SetSecretKey(key string) {
	a.t.Helper()
	a.tree.File(a.secretKey, key)
}

// Switch ends the current segment of the log, and returns when it is archived.
func (a *Archiver) Switch() {
	a.t.Helper()
	superuser := a.db.As("postgres")
	superuser.Exec("SELECT pg_logical_emit_message(false, 'test', '')") // an empty one does not end
	segment := superuser.Ask("SELECT pg_walfile_name(pg_switch_wal())")
	a.Eventually(func() bool {
		return superuser.Ask("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") >= segment
	})
}

var program = apptest.Compile("archiver", "CGO_ENABLED=0")
