// Package pgbackrest archives Postgres servers in a bucket with pgBackRest: base backups, which copy all
// files of a server, and the write-ahead log, which brings a base backup to any later time.
package pgbackrest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
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
	// Folder is the archive's folder below the bucket's prefix. The log and the base backups have one each in
	// it.
	Folder                  = "wal"
	logFolder, backupFolder = "archive", "backup"
	// RestoreRequested is an object beside the archive. It exists while a requested restore is not done.
	RestoreRequested = "restore-asked.json"

	// codeMissing is the exit status of archive-get for a file that is not in the archive.
	// Source: https://pgbackrest.org/command.html#command-archive-get
	codeMissing = 1

	stopTimeout    = 10 * time.Second
	connectTimeout = 3 * time.Second
	// publicAuthorities is Debian's folder of them, under the names that OpenSSL looks up; $SSL_CERT_DIR
	// overrides it, as for OpenSSL and Go.
	publicAuthorities = "/etc/ssl/certs"
)

// Archive is a repository of pgBackRest. Each server has a stanza of its own in it, so a new server never
// meets the files of an old one.
type Archive struct {
	bucket     settings.Bucket
	passphrase string
}

// New returns the archive in a bucket. A passphrase, if any, encrypts it.
func New(bucket settings.Bucket, passphrase string) *Archive { return &Archive{bucket, passphrase} }

// StanzaName names the stanza of a server by its system identifier. A server that was set back to an earlier
// state archives other log under the same names, so its identity gets a number, such as
// 7711158423862165527-2. A stanza has one passphrase, so another passphrase makes another stanza.
func (a *Archive) StanzaName(identity string) string {
	if a.passphrase == "" {
		return identity
	}
	sum := sha256.Sum256([]byte(a.passphrase))
	return identity + "-" + hex.EncodeToString(sum[:4])
}

// Create makes a stanza for the server that libpq's variables name, unless it exists.
func (a *Archive) Create(ctx context.Context, stanza string) error {
	if a.isPlain() {
		return errors.New("S3_ENDPOINT: pgBackRest takes nothing but https")
	}
	_, err := a.run(ctx, serverOptions(), "stanza-create", "--stanza="+stanza)
	return err
}

// BackUp makes a base backup of the server that libpq's variables name. It then deletes all but the newest
// base backups, as many as keep says, and the log before them.
func (a *Archive) BackUp(ctx context.Context, stanza string, keep int) error {
	_, err := a.run(ctx, serverOptions(), "backup", "--stanza="+stanza, "--type=full", "--start-fast",
		"--repo1-bundle", "--repo1-retention-full="+strconv.Itoa(keep))
	return err
}

// DeleteBackup deletes a base backup and its entry in the history: pgBackRest makes no base backup that is
// dated before one in the history.
func (a *Archive) DeleteBackup(ctx context.Context, b Backup) error {
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

// Ping fails unless the store accepts a connection soon.
func (a *Archive) Ping(ctx context.Context) error {
	port := cmp.Or(a.bucket.Endpoint.Port(), "443")
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp",
		net.JoinHostPort(a.bucket.Endpoint.Hostname(), port))
	if err != nil {
		return fmt.Errorf("reach the store: %w", err)
	}
	return conn.Close()
}

// ExecPush replaces this process by one that stores a file of the log. If more log is waiting than queue,
// such as 128MiB, it drops the file, so that the log never fills the server's volume.
func (a *Archive) ExecPush(stanza, file, queue string) error {
	executable, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	args := []string{program, "archive-push", "--stanza=" + stanza, "--archive-push-queue-max=" + queue, file}
	return syscall.Exec(executable, args, append(a.environment(), serverOptions()...))
}

// Restore fetches a base backup into an empty folder. A server that starts there needs a restore_command that
// calls ReadSegment. It replays the log up to a time, or all of it if that is zero, and then becomes a server
// of its own. Tablespaces get folders beside the folder.
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

// ReadSegment reads a file of the log, for the server restored from the stanza into that data directory. The
// error is an fs.ErrNotExist if the stanza does not have it.
func (a *Archive) ReadSegment(ctx context.Context, stanza, data, name string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "segment-") // where no other user can replace the file
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, name)
	_, err = a.run(ctx, nil, "archive-get", "--stanza="+stanza, "--pg1-path="+data, name, file)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == codeMissing:
		return nil, fmt.Errorf("read segment %s of the log: %w", name, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("read segment %s of the log: %w", name, err)
	}
	return os.ReadFile(file)
}

// CheckLastSegment fails unless the last segment of a span is what was stored. The data directory is the one
// that the span was restored into.
func (a *Archive) CheckLastSegment(ctx context.Context, s Span, data string) error {
	if s.last.Name == "" {
		return nil
	}
	content, err := a.ReadSegment(ctx, s.Backup.Stanza, data, s.last.Name)
	if err != nil {
		return err
	}
	if checksum(content) != s.last.sha1 {
		return fmt.Errorf("segment %s of the log is damaged", s.last.Name)
	}
	return nil
}

// Verify reads everything in a stanza and compares the checksums.
func (a *Archive) Verify(ctx context.Context, stanza string) error {
	found, err := a.run(ctx, nil, "verify", "--stanza="+stanza, "--output=text")
	if err == nil && bytes.Contains(found, []byte("status: error")) {
		err = errors.New(oneLine(string(found)))
	}
	return err
}

// RestoreRequested returns when the pending restore was requested, by the store's clock; zero if none is.
func (a *Archive) RestoreRequested(ctx context.Context) (time.Time, error) {
	files, err := a.list(ctx, RestoreRequested, "--repo1-path=/"+a.bucket.Prefix)
	request := files["."]
	if err != nil || request.Time == 0 {
		return time.Time{}, err
	}
	return time.Unix(request.Time, 0).UTC(), nil
}

// PendingRestore says that a restore was requested within the last limit and is not done; empty if none was.
// Nothing that it may need must be deleted meanwhile.
func PendingRestore(requested time.Time, limit time.Duration) string {
	if time.Since(requested) >= limit {
		return ""
	}
	return fmt.Sprintf("a restore was requested at %s and is not done", requested.Format(time.RFC3339))
}

// Delete deletes a stanza. Its server archives nothing more until Create makes the stanza again.
func (a *Archive) Delete(ctx context.Context, stanza string) error {
	if _, err := a.run(ctx, nil, "stop", "--stanza="+stanza); err != nil {
		return err
	}
	_, err := a.run(ctx, serverOptions(), "stanza-delete", "--stanza="+stanza, "--force")
	return err
}

// isPlain tells that the store has no TLS, which pgBackRest needs.
func (a *Archive) isPlain() bool { return a.bucket.Endpoint.Scheme == "http" }

// environment passes options as variables, since some are secrets. Variables that this process has already
// take precedence. Source: https://pgbackrest.org/configuration.html
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
		"REPO1_PATH=/" + a.bucket.Prefix + "/" + Folder,
		"REPO1_S3_ENDPOINT=" + a.bucket.Endpoint.Host,
		"REPO1_S3_REGION=" + a.bucket.Region,
		"REPO1_S3_BUCKET=" + a.bucket.Name,
		"REPO1_S3_URI_STYLE=" + style,
		"REPO1_S3_KEY=" + a.bucket.AccessKey,
		"REPO1_S3_KEY_SECRET=" + a.bucket.SecretKey,
	}
	if a.bucket.CAFile != "" {
		// Either one alone would replace the public authorities.
		options = append(options, "REPO1_STORAGE_CA_FILE="+a.bucket.CAFile,
			"REPO1_STORAGE_CA_PATH="+cmp.Or(os.Getenv("SSL_CERT_DIR"), publicAuthorities))
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

// serverOptions translates libpq's variables for pgBackRest.
func serverOptions() (options []string) {
	for option, variable := range map[string]string{"PG1_PATH": "PGDATA", "PG1_SOCKET_PATH": "PGHOST",
		"PG1_PORT": "PGPORT", "PG1_USER": "PGUSER"} {
		if value := os.Getenv(variable); value != "" {
			options = append(options, "PGBACKREST_"+option+"="+value)
		}
	}
	return options
}

// run returns what pgBackRest prints, and logs its warnings.
func (a *Archive) run(
	ctx context.Context, environment []string, command string, args ...string,
) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, append([]string{command}, args...)...)
	cmd.Env = append(a.environment(), environment...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	message := oneLine(stderr.String())
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && message == "":
		return nil, fmt.Errorf("%s %s: %w", program, command, err)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %s", program, command, message)
	case message != "":
		slog.Warn(program+" "+command, "said", message)
	}
	return out.Bytes(), nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
