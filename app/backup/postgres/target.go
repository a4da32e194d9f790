package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// maxRenames is how often to try the renaming, while clients that were disconnected come back.
	maxRenames = 10
	// archiveTimeout is how long a few segments of the log may take.
	archiveTimeout, archivePause = time.Minute, 100 * time.Millisecond
	// objectInUse is from https://www.postgresql.org/docs/17/errcodes-appendix.html.
	objectInUse = "55006"
)

// Target is a database of a live server that a new one is about to replace. The new one has a temporary name
// beside it until Replace. A database has one target at a time.
type Target struct {
	Database string
	// Server is the server's version, such as 17.11, and Major its first part. System is the server's unique
	// identifier.
	Server, System string
	Major          int
	login          login
	conn           *pgx.Conn // to the server's database postgres
	oid            uint32
	// new is the name of the new database: Database and suffix, which ends with the random mark.
	new, suffix, mark string
}

// OpenTarget connects to the server of the database at a URL such as postgres://user:password@host/database,
// as a superuser, and waits until no other target of the database is open. It removes the remains of targets
// that were never closed. The error is an ErrPermanent if the URL, the password or the server's version is
// wrong.
func OpenTarget(ctx context.Context, address string, clientMajor int) (*Target, error) {
	l, err := parseLogin(address)
	if err != nil {
		return nil, err
	}
	maps.Copy(l.config.RuntimeParams, map[string]string{
		"role":                          superuser, // nothing must belong to the role that restores
		"event_triggers":                "off",     // login triggers too
		"default_transaction_read_only": "off",     // a database may have it on
		"synchronous_commit":            "on",      // the last commit makes earlier ones durable too
		// The server soon notices a vanished client, which would otherwise hold the lock for hours.
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3",
	})
	t := &Target{Database: l.config.Database, login: l}
	if t.conn, err = l.to(superuser).connect(ctx); err != nil {
		return nil, err
	}
	if err := t.begin(ctx, clientMajor); err != nil {
		t.Close()
		return nil, markPermanent(err)
	}
	return t, nil
}

func (t *Target) begin(ctx context.Context, clientMajor int) (err error) {
	if t.Server, t.Major, err = serverVersion(t.conn); err != nil {
		return err
	}
	if clientMajor < t.Major {
		return fmt.Errorf(
			"%w: pg_restore of Postgres %d is too old for a server of %s: take an image of Postgres %d",
			ErrPermanent, clientMajor, t.Server, t.Major)
	}
	var alone bool
	const lock = `SELECT pg_try_advisory_lock(hashtextextended('restore ' || $1, 0))`
	if err := t.conn.QueryRow(ctx, lock, t.Database).Scan(&alone); err != nil {
		return err
	}
	if !alone {
		slog.Info("waiting for another restore of the database", "database", t.Database)
		const wait = `SELECT pg_advisory_lock(hashtextextended('restore ' || $1, 0))`
		if _, err := t.conn.Exec(ctx, wait, t.Database); err != nil {
			return fmt.Errorf("wait for another restore: %w", err)
		}
	}
	err = t.conn.QueryRow(ctx, `SELECT oid, (SELECT system_identifier::text FROM pg_control_system())
		FROM pg_database WHERE datname = $1`, t.Database).Scan(&t.oid, &t.System)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: the server has no database %s", ErrPermanent, t.Database)
	}
	if err != nil {
		return err
	}
	if err := createRecords(ctx, t.conn); err != nil {
		return err
	}
	t.clean(ctx)
	return nil
}

// Names of temporary databases, and of the roles that own them.
const (
	restoring = "_restoring_"
	replaced  = "_replaced_"
	markSize  = 6 // bytes
	// temporarySuffix matches the ends of such names.
	temporarySuffix = "(" + restoring + "|" + replaced + ")[0-9a-f]{12}$"
)

// clean removes temporary databases of restores of the database, and their roles. What it cannot remove, the
// next restore tries to.
func (t *Target) clean(ctx context.Context) {
	temporary := regexp.MustCompile(`(?i)^` + temporarySuffix)
	for _, object := range []struct{ kind, query, options string }{
		{"database", `SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)`, " WITH (FORCE)"},
		{"role", `SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, $1)`, ""},
	} {
		names, err := query(ctx, t.conn, pgx.RowTo[string], object.query, t.Database)
		if err != nil {
			slog.Warn("cannot look for what restores left; the next one will", "error", err)
			return
		}
		for _, name := range names {
			if !temporary.MatchString(strings.TrimPrefix(name, t.Database)) {
				continue
			}
			drop := "DROP " + object.kind + " " + pgx.Identifier{name}.Sanitize() + object.options
			if _, err := t.conn.Exec(ctx, drop); err != nil {
				slog.Warn("not removed; the next restore tries again", object.kind, name, "error", err)
				continue
			}
			slog.Info("removed", object.kind, name)
		}
	}
}

// ArchiveWAL makes the server archive its log up to now, and returns when that is done. It does nothing if
// the server has no archive.
func (t *Target) ArchiveWAL(ctx context.Context) error {
	var mode string
	if err := t.conn.QueryRow(ctx, `SHOW archive_mode`).Scan(&mode); err != nil || mode == "off" {
		return err
	}
	// The time of this commit shows that the log reaches as far.
	if _, err := t.conn.Exec(ctx, `SELECT pg_current_xact_id()`); err != nil {
		return err
	}
	var segment string
	if err := t.conn.QueryRow(ctx, `SELECT pg_walfile_name(pg_switch_wal() - 1)`).Scan(&segment); err != nil {
		return err
	}
	// The names of a timeline's segments are ordered.
	const archived = `SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver`
	for deadline := time.Now().Add(archiveTimeout); ; time.Sleep(archivePause) {
		var done bool
		if err := t.conn.QueryRow(ctx, archived, segment).Scan(&done); err != nil || done {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("segment %s of the log was not archived within %s: "+
				"see what the server logs of its archive_command", segment, archiveTimeout)
		}
	}
}

// MissingRoles returns the roles that the server does not have.
func (t *Target) MissingRoles(ctx context.Context, roles []string) ([]string, error) {
	return query(ctx, t.conn, pgx.RowTo[string], `SELECT wanted FROM unnest($1::text[]) wanted
		WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)`, roles)
}

// Replace disconnects the other database's clients, gives its name to the new one, and records which request
// that fulfills. Nothing has changed until the server commits.
func (t *Target) Replace(ctx context.Context, request RestoreRequest, restored string) error {
	var err error
	for range maxRenames {
		var refusal *pgconn.PgError
		err = pgx.BeginFunc(ctx, t.conn, func(tx pgx.Tx) error { return t.rename(ctx, tx, request, restored) })
		if err == nil {
			break
		}
		if !errors.As(err, &refusal) || refusal.Code != objectInUse {
			return err
		}
	}
	if err != nil {
		return err
	}
	t.new = ""
	t.clean(ctx)
	return nil
}

func (t *Target) rename(ctx context.Context, tx pgx.Tx, request RestoreRequest, restored string) error {
	if _, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname IN ($1, $2)`, t.Database, t.new); err != nil {
		return err
	}
	for _, names := range [][2]string{{t.Database, t.Database + replaced + t.mark}, {t.new, t.Database}} {
		if _, err := tx.Exec(ctx, "ALTER DATABASE "+pgx.Identifier{names[0]}.Sanitize()+" RENAME TO "+
			pgx.Identifier{names[1]}.Sanitize()); err != nil {
			return err
		}
	}
	return record(ctx, tx, t.Database, request, restored)
}

// Close removes a new database that did not replace the other.
func (t *Target) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if t.new != "" {
		t.clean(ctx)
	}
	_ = t.conn.Close(ctx) // the server notices either way
}
