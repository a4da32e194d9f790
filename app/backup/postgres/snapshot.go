package postgres

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

const (
	connectTimeout = 10 * time.Second
	// lockTimeout is how long to wait for a table that another client changes.
	lockTimeout = time.Minute
	// dumpLockTimeout is how long pg_dump waits. The snapshot's connection holds the same locks already, so
	// pg_dump only waits if a client that wants to change a table is waiting in between.
	dumpLockTimeout = 5 * time.Second
)

// Snapshot is a moment of a database. It stays as it is while others write.
type Snapshot struct {
	// Database is its name, Server the server's version, such as 17.11, Client the version of pg_dump, and
	// System the server's unique identifier.
	Database, Server, Client, System string
	// Taken is when, by the database's clock.
	Taken time.Time
	id    string
	conn  *pgx.Conn
	login login
}

// TakeSnapshot takes a snapshot of the database at a URL such as postgres://user:password@host/database. The
// role may be a superuser. The error is an ErrPermanent if pg_dump is missing or older than the server, or if
// the URL or the password is wrong.
func TakeSnapshot(ctx context.Context, address string, superuser bool) (*Snapshot, error) {
	client, major, err := ClientVersion(ctx)
	if err != nil {
		return nil, fmt.Errorf("find pg_dump: %w: %w", ErrPermanent, err)
	}
	l, err := parseLogin(address)
	if err != nil {
		return nil, err
	}
	if l.superuser = superuser; superuser {
		l.config.RuntimeParams["event_triggers"] = "off"
	}
	s := &Snapshot{Database: l.config.Database, Client: client, login: l}
	if err := s.begin(ctx, major); err != nil {
		s.Close()
		return nil, markPermanent(err)
	}
	return s, nil
}

func (s *Snapshot) begin(ctx context.Context, clientMajor int) (err error) {
	if s.conn, err = s.login.connect(ctx); err != nil {
		return err
	}
	var major int
	if s.Server, major, err = serverVersion(s.conn); err != nil {
		return err
	}
	if clientMajor < major {
		return fmt.Errorf("%w: pg_dump of Postgres %d cannot dump a server of %s: take an image of Postgres %d",
			ErrPermanent, clientMajor, s.Server, major)
	}
	if err := refuseLargeObjects(ctx, s.conn); err != nil {
		return fmt.Errorf("%w: %w", ErrPermanent, err)
	}
	relations, err := listTables(ctx, s.conn)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	if _, err := s.conn.Exec(ctx, fmt.Sprintf(
		"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '%dms'",
		lockTimeout.Milliseconds())); err != nil {
		return err
	}
	// A table that is truncated or rewritten after the snapshot would look empty in it: so lock first.
	// Source: https://www.postgresql.org/docs/17/mvcc-caveats.html
	for _, r := range relations {
		if _, err := s.conn.Exec(ctx, "LOCK TABLE ONLY "+r.quoted()+" IN ACCESS SHARE MODE"); err != nil {
			return fmt.Errorf("lock table %s.%s: %w", r.schema, r.name, err)
		}
	}
	const take = `SELECT pg_export_snapshot(), clock_timestamp(), system_identifier::text
		FROM pg_control_system()`
	return s.conn.QueryRow(ctx, take).Scan(&s.id, &s.Taken, &s.System)
}

// Content returns the content of the snapshot without sequences.
func (s *Snapshot) Content(ctx context.Context) (manifest.Content, error) {
	found, err := readContent(ctx, []*pgx.Conn{s.conn}, "", s.login.environment(), s.selection()...)
	return found, markPermanent(err)
}

// Sequences returns the sequences as they are now, since they ignore snapshots.
func (s *Snapshot) Sequences(ctx context.Context) ([]manifest.Sequence, error) {
	return readSequences(ctx, s.conn)
}

// Dump returns a dump in the custom format of pg_dump, compressed by zstd of a level from 1 to 19. It is
// complete if it can be read to its end without an error.
func (s *Snapshot) Dump(ctx context.Context, level int) (io.ReadCloser, error) {
	args := append([]string{"--format=custom", fmt.Sprintf("--compress=zstd:%d", level)}, s.selection()...)
	return startStream(ctx, s.login.environment(), "pg_dump", args...)
}

func (s *Snapshot) selection() []string {
	return []string{
		"--snapshot=" + s.id, "--no-password", s.login.argument(),
		fmt.Sprintf("--lock-wait-timeout=%d", dumpLockTimeout.Milliseconds()),
	}
}

// Close gives the snapshot up.
func (s *Snapshot) Close() {
	if s.conn != nil {
		_ = s.conn.Close(context.Background()) // the server notices either way
	}
}
