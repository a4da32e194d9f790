// Package pgbackrest archives Postgres servers in a bucket, with the program of that name: base backups,
// which are copies of all files of a server, and the write-ahead log, by which a base backup is brought to
// any time after it.
package pgbackrest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

const (
	program = "pgbackrest"
	// folder is that of the archive, below the bucket's prefix. In it, the log and the base backups have one
	// each.
	folder, logFolder, backupFolder = "wal", "archive", "backup"
	// stopTime is what the program may take to end after it was told to.
	stopTime = 10 * time.Second
	// publicAuthorities is where Debian has them, by the names that OpenSSL looks for.
	publicAuthorities = "/etc/ssl/certs"
	// reachTime is what a connection to the store may take.
	reachTime = 3 * time.Second
)

// Archive is what one or more servers have archived. Each has a stanza of its own in it, so that a new server
// never meets an old one's files.
type Archive struct {
	bucket     settings.Bucket
	passphrase string
}

// FromEnvironment reads the settings of the archive: those of its bucket, and the passphrase that encrypts it, which is
// in the file that $ARCHIVE_PASSPHRASE_FILE names, if any.
func FromEnvironment(r *settings.Reader) *Archive {
	return &Archive{r.Bucket(), r.OptionalFile("ARCHIVE_PASSPHRASE_FILE")}
}

// Stanza is the name of the stanza of a server with that system identifier. A server that was set back to an
// earlier state has a number after its identifier, such as 7711158423862165527-2, for it archives other log
// by the same names. With another passphrase it is another stanza, since none can be read with two.
func (a *Archive) Stanza(identity string) string {
	if a.passphrase == "" {
		return identity
	}
	sum := sha256.Sum256([]byte(a.passphrase))
	return identity + "-" + hex.EncodeToString(sum[:4])
}

// Create makes a stanza for the server that libpq's variables name, unless there is one.
func (a *Archive) Create(ctx context.Context, stanza string) error {
	if a.isPlain() {
		return errors.New("S3_ENDPOINT: pgBackRest takes nothing but https")
	}
	_, err := a.run(ctx, server(), "stanza-create", "--stanza="+stanza)
	return err
}

// BackUp makes a base backup of the server that libpq's variables name. It then deletes all but so many of
// the newest ones, and the log before them.
func (a *Archive) BackUp(ctx context.Context, stanza string, keep int) error {
	_, err := a.run(ctx, server(), "backup", "--stanza="+stanza, "--type=full", "--start-fast", "--repo1-bundle",
		"--repo1-retention-full="+strconv.Itoa(keep))
	return err
}

// Forget deletes a base backup, and what its history says of it: pgBackRest makes none that is dated before
// one that it knows of.
func (a *Archive) Forget(ctx context.Context, b Backup) error {
	history := path.Join(backupFolder, b.Stanza, "backup.history", b.Label[:len("2006")])
	files, err := a.list(ctx, history)
	if err != nil {
		return err
	}
	for name := range files {
		if !strings.HasPrefix(name, b.Label) {
			continue
		}
		if _, err := a.run(ctx, nil, "repo-rm", path.Join(history, name)); err != nil {
			return err
		}
	}
	_, err = a.run(ctx, nil, "expire", "--stanza="+b.Stanza, "--set="+b.Label)
	return err
}

// Reach fails if nobody answers soon where the bucket is.
func (a *Archive) Reach(ctx context.Context) error {
	port := cmp.Or(a.bucket.Endpoint.Port(), "443")
	conn, err := (&net.Dialer{Timeout: reachTime}).DialContext(ctx, "tcp",
		net.JoinHostPort(a.bucket.Endpoint.Hostname(), port))
	if err != nil {
		return fmt.Errorf("reach the store: %w", err)
	}
	return conn.Close()
}

// Push stores a file of the log, in place of this process. When more of the log than queue, such as 128MiB,
// waits to be stored, it drops the file instead, so that they never fill the server's volume.
func (a *Archive) Push(stanza, file, queue string) error {
	executable, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	args := []string{program, "archive-push", "--stanza=" + stanza, "--archive-push-queue-max=" + queue, file}
	return syscall.Exec(executable, args, append(a.environment(), server()...))
}

// Restore fetches a base backup into an empty folder. A server that starts there, with a restore_command that
// has Segment, replays the log up to a time, or its end if that is zero, and then is a server of its own.
// Tablespaces get folders beside the folder.
func (a *Archive) Restore(ctx context.Context, b Backup, folder string, until time.Time) error {
	args := []string{"--stanza=" + b.Stanza, "--set=" + b.Label, "--pg1-path=" + folder, "--archive-mode=off",
		"--tablespace-map-all=" + filepath.Join(filepath.Dir(folder), "tablespaces"),
		"--recovery-option=restore_command=false"}
	if !until.IsZero() {
		args = append(args, "--type=time", "--target="+until.UTC().Format("2006-01-02 15:04:05.999999+00"),
			"--target-action=promote")
	}
	_, err := a.run(ctx, nil, "restore", args...)
	return err
}

// Segment reads a file of the log of the server with that data directory, which was restored from a stanza.
func (a *Archive) Segment(ctx context.Context, stanza, data, name string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "segment-") // where nobody else can put another file in its place
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, name)
	if _, err := a.run(ctx, nil, "archive-get", "--stanza="+stanza, "--pg1-path="+data, name, file); err != nil {
		return nil, fmt.Errorf("read segment %s of the log: %w", name, err)
	}
	return os.ReadFile(file)
}

// CheckEnd reads the last segment of a span, of which the server with that data directory was restored, and
// fails unless it is what was stored.
func (a *Archive) CheckEnd(ctx context.Context, s Span, data string) error {
	if s.last.Name == "" {
		return nil
	}
	content, err := a.Segment(ctx, s.Backup.Stanza, data, s.last.Name)
	if err != nil {
		return err
	}
	if checksum(content) != s.last.sha1 {
		return fmt.Errorf("segment %s of the log is damaged", s.last.Name)
	}
	return nil
}

// Verify reads all that is in a stanza, and fails unless its checksums are those that were recorded.
func (a *Archive) Verify(ctx context.Context, stanza string) error {
	found, err := a.run(ctx, nil, "verify", "--stanza="+stanza, "--output=text")
	if err == nil && bytes.Contains(found, []byte("status: error")) {
		err = errors.New(strings.Join(strings.Fields(string(found)), " "))
	}
	return err
}

// RestoreRequested is a file beside the archive, which is there from when a restore was asked for until it is
// done.
const RestoreRequested = "restore-asked.json"

// RestoreRequested is when a restore was asked for that is not done, by the store's clock; zero if none was.
func (a *Archive) RestoreRequested(ctx context.Context) (time.Time, error) {
	files, err := a.list(ctx, RestoreRequested, "--repo1-path=/"+a.bucket.Prefix)
	asked := files["."]
	if err != nil || asked.Time == 0 {
		return time.Time{}, err
	}
	return time.Unix(asked.Time, 0).UTC(), nil
}

// Delete deletes a stanza. Its server, if there still is one, archives nothing until Create makes another.
func (a *Archive) Delete(ctx context.Context, stanza string) error {
	if _, err := a.run(ctx, nil, "stop", "--stanza="+stanza); err != nil {
		return err
	}
	_, err := a.run(ctx, server(), "stanza-delete", "--stanza="+stanza, "--force")
	return err
}

// isPlain tells a service without TLS, where no archive can be.
func (a *Archive) isPlain() bool { return a.bucket.Endpoint.Scheme == "http" }

// environment has the program's options: as variables, for some of them are secrets. Those that this process
// has already count more. Source: https://pgbackrest.org/configuration.html
func (a *Archive) environment() []string {
	style := "host"
	if a.bucket.PathStyle {
		style = "path"
	}
	options := []string{
		"CONFIG=/dev/null",
		"LOCK_PATH=" + filepath.Join(os.TempDir(), program),
		"LOG_LEVEL_FILE=off",
		"LOG_LEVEL_CONSOLE=off",
		"LOG_LEVEL_STDERR=warn",
		"LOG_TIMESTAMP=n",
		"IO_TIMEOUT=5", // of each of about nine tries
		"BUFFER_SIZE=256KiB",
		"COMPRESS_TYPE=zst",
		"REPO1_TYPE=s3",
		"REPO1_PATH=/" + a.bucket.Prefix + "/" + folder,
		"REPO1_S3_ENDPOINT=" + a.bucket.Endpoint.Host,
		"REPO1_S3_REGION=" + a.bucket.Region,
		"REPO1_S3_BUCKET=" + a.bucket.Name,
		"REPO1_S3_URI_STYLE=" + style,
		"REPO1_S3_KEY=" + a.bucket.AccessKey,
		"REPO1_S3_KEY_SECRET=" + a.bucket.SecretKey,
	}
	if a.bucket.CAFile != "" {
		// Each alone would take the place of the public ones.
		options = append(options, "REPO1_STORAGE_CA_FILE="+a.bucket.CAFile, "REPO1_STORAGE_CA_PATH="+
			publicAuthorities)
	}
	if a.passphrase != "" {
		options = append(options, "REPO1_CIPHER_TYPE=aes-256-cbc", "REPO1_CIPHER_PASS="+a.passphrase)
	}
	environment := os.Environ()
	for _, option := range options {
		name, _, _ := strings.Cut(option, "=")
		if _, given := os.LookupEnv("PGBACKREST_" + name); !given {
			environment = append(environment, "PGBACKREST_"+option)
		}
	}
	return environment
}

// server are the options that say where the server is.
func server() (options []string) {
	for option, variable := range map[string]string{"PG1_PATH": "PGDATA", "PG1_SOCKET_PATH": "PGHOST",
		"PG1_PORT": "PGPORT", "PG1_USER": "PGUSER"} {
		if value := os.Getenv(variable); value != "" {
			options = append(options, "PGBACKREST_"+option+"="+value)
		}
	}
	return options
}

// run returns what the program prints. What it warns of is logged.
func (a *Archive) run(ctx context.Context, environment []string, command string, args ...string) ([]byte,
	error) {
	cmd := exec.CommandContext(ctx, program, append([]string{command}, args...)...)
	cmd.Env = append(a.environment(), environment...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	message := strings.Join(strings.Fields(said.String()), " ")
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && message == "":
		return nil, fmt.Errorf("%s %s: %w", program, command, err)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", program, command, errors.New(message))
	case message != "":
		slog.Warn(program+" "+command, "said", message)
	}
	return out.Bytes(), nil
}
