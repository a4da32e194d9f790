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

	"github.com/dustin/go-humanize"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// renamings is how often the databases' names are tried to be changed, while clients that were told to go
	// come again.
	renamings = 10
	// archiveTime is what it may take to archive a segment of the log, or a few.
	archiveTime, archivePause = time.Minute, 100 * time.Millisecond
	// objectInUse is what Postgres calls it. Source: https://www.postgresql.org/docs/17/errcodes-appendix.html
	objectInUse = "55006"
)

// Target is a database of a live server that another one shall take the place of. That has a name of its own
// beside it until Replace, and goes with the target if there was none. There is one target of a database at a
// time.
type Target struct {
	// Database is its name.
	Database string
	// Server is the server's version, such as 17.11, of which Major is the first part. System is its identifier,
	// which no other has.
	Server, System string
	Major          int

	login login
	conn  *pgx.Conn // to the server's database postgres
	oid   uint32
	// new is the name of the database that shall take its place, suffix what that has more than Database, of
	// which mark is random.
	new, suffix, mark string
}

// OpenTarget connects to the server of the database at a URL such as postgres://user:password@host/database,
// as a superuser, and waits until no other target of the database is open. It removes what others left that
// never closed. The error is an ErrPermanent if the URL, the password or the server's version is wrong.
func OpenTarget(ctx context.Context, address string, clientMajor int) (*Target, error) {
	l, err := parseLogin(address)
	if err != nil {
		return nil, err
	}
	maps.Copy(l.config.RuntimeParams, map[string]string{
		"role":                          superuser, // nothing shall belong to the one that restores
		"event_triggers":                "off",     // those that fire at a login too
		"default_transaction_read_only": "off",     // as a database may be by a setting of its own
		"synchronous_commit":            "on",      // of which the last commit also makes those before it last
		// The server soon knows of a client that went without a word, whose lock it would else keep for hours.
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3",
	})
	t := &Target{Database: l.config.Database, login: l}
	if t.conn, err = l.in(superuser).connect(ctx); err != nil {
		return nil, err
	}
	if err := t.begin(ctx, clientMajor); err != nil {
		t.Close()
		return nil, refused(err)
	}
	return t, nil
}

func (t *Target) begin(ctx context.Context, clientMajor int) (err error) {
	if t.Server, t.Major, err = serverVersion(t.conn); err != nil {
		return err
	}
	if clientMajor < t.Major {
		return fmt.Errorf("%w: pg_restore of Postgres %d is too old for a server of %s: take an image of Postgres %d", ErrPermanent, clientMajor, t.Server, t.Major)
	}
	var alone bool
	if err := t.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtextextended('restore ' || $1, 0))`,
		t.Database).Scan(&alone); err != nil {
		return err
	}
	if !alone {
		slog.Info("waiting for another restore of the database", "database", t.Database)
		if _, err := t.conn.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended('restore ' || $1, 0))`,
			t.Database); err != nil {
			return fmt.Errorf("wait for another restore: %w", err)
		}
	}
	err = t.conn.QueryRow(ctx, `SELECT oid, (SELECT system_identifier::text FROM pg_control_system()) FROM pg_database WHERE datname = $1`, t.Database).Scan(&t.oid, &t.System)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: the server has no database %s", ErrPermanent, t.Database)
	}
	if err != nil {
		return err
	}
	// Two at once would both find that there is no table yet.
	if _, err := t.conn.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('restores', 0));
		CREATE TABLE IF NOT EXISTS public.restores (
		database oid PRIMARY KEY, restore_from text NOT NULL, restored text NOT NULL, at timestamptz NOT NULL DEFAULT now());
		ALTER TABLE public.restores ADD COLUMN IF NOT EXISTS name text, ADD COLUMN IF NOT EXISTS request text`); err != nil {
		return err
	}
	return t.clean(ctx)
}

// Kinds of databases that are there for a while, as parts of their names.
const (
	restoring = "_restoring_"
	replaced  = "_replaced_"
	markSize  = 6 // bytes
)

// clean removes the databases that a restore has made for itself, and the roles that it made them with.
func (t *Target) clean(ctx context.Context) error {
	own := regexp.MustCompile(fmt.Sprintf(`(?i)^(%s|%s)[0-9a-f]{%d}$`, restoring, replaced, 2*markSize))
	for _, made := range []struct{ kind, name, query, how string }{
		{"DATABASE", "database", `SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)`,
			" WITH (FORCE)"},
		{"ROLE", "role", `SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, $1)`, ""},
	} {
		rows, err := t.conn.Query(ctx, made.query, t.Database)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			if !own.MatchString(strings.TrimPrefix(name, t.Database)) {
				continue
			}
			if _, err := t.conn.Exec(ctx, "DROP "+made.kind+" "+pgx.Identifier{name}.Sanitize()+made.how); err != nil {
				return fmt.Errorf("remove %s %s: %w", made.name, name, err)
			}
			slog.Info("removed", made.name, name)
		}
	}
	return nil
}

// RestoreRequest asks for a restore. An ID tells it from another one in the same words; without an ID each is
// another one.
type RestoreRequest struct{ From, ID string }

// RestoreRecord is a restore that was done.
type RestoreRecord struct {
	From string
	At   time.Time
	// Fulfills says that it did what is asked for now, and that the database is still the one that it made.
	Fulfills bool
}

// LastRestore is the last restore of a database of that name on this server; nil if there was none.
func (t *Target) LastRestore(ctx context.Context, asked RestoreRequest) (*RestoreRecord, error) {
	var last RestoreRecord
	// Those that are older than the column answer all requests in the same words.
	err := t.conn.QueryRow(ctx, `
		SELECT restored, at, database = $1 AND restore_from = $3 AND coalesce(request, $4) = $4 AND $4 <> ''
		FROM public.restores WHERE database = $1 OR name = $2 ORDER BY at DESC LIMIT 1`,
		t.oid, t.Database, asked.From, asked.ID).Scan(&last.From, &last.At, &last.Fulfills)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &last, err
}

// Holds says what is in the database, such as "2 tables with 1,234 rows", and how many rows. It is empty if
// nothing is.
func (t *Target) Holds(ctx context.Context) (what string, rows int64, err error) {
	conn, err := t.login.connect(ctx)
	if err != nil {
		return "", 0, err
	}
	defer conn.Close(ctx)
	tables, err := relations(ctx, conn)
	if err != nil {
		return "", 0, fmt.Errorf("list tables: %w", err)
	}
	for _, r := range tables {
		var some int64
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM ("+r.rows+")").Scan(&some); err != nil {
			return "", 0, fmt.Errorf("count the rows of table %s.%s: %w", r.schema, r.name, err)
		}
		rows += some
	}
	var others int64
	const functions = `
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')`
	if err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM (SELECT`+ours+`)) + (SELECT count(*)`+functions+
		`)`, "pvmSf").Scan(&others); err != nil {
		return "", 0, fmt.Errorf("list sequences, views and functions: %w", err)
	}
	switch {
	case len(tables) > 0:
		what = fmt.Sprintf("%d tables with %s rows", len(tables), humanize.Comma(rows))
	case others > 0:
		what = fmt.Sprintf("%d sequences, views or functions", others)
	}
	return what, rows, nil
}

// ArchiveWAL makes the server archive its log up to now, and returns when that is done. It does nothing if the
// server has no archive.
func (t *Target) ArchiveWAL(ctx context.Context) error {
	var mode string
	if err := t.conn.QueryRow(ctx, `SHOW archive_mode`).Scan(&mode); err != nil || mode == "off" {
		return err
	}
	// A commit, by whose time the log is known to reach as far as that.
	if _, err := t.conn.Exec(ctx, `SELECT pg_current_xact_id()`); err != nil {
		return err
	}
	var segment string
	if err := t.conn.QueryRow(ctx, `SELECT pg_walfile_name(pg_switch_wal() - 1)`).Scan(&segment); err != nil {
		return err
	}
	for deadline := time.Now().Add(archiveTime); ; time.Sleep(archivePause) {
		var done bool
		// The names of a timeline's segments are in their order.
		if err := t.conn.QueryRow(ctx, `SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver`,
			segment).Scan(&done); err != nil || done {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("segment %s of the log was not archived within %s: see what the server logs of its archive_command", segment, archiveTime)
		}
	}
}

// MissingRoles returns those of the roles that the server does not have.
func (t *Target) MissingRoles(ctx context.Context, roles []string) ([]string, error) {
	rows, err := t.conn.Query(ctx,
		`SELECT wanted FROM unnest($1::text[]) wanted WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)`, roles)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Replace lets the new database take the name of the other, and remembers what it was restored from when that
// was asked for. Clients of the other are cut off. Until it returns, or the server commits, nothing has
// changed.
func (t *Target) Replace(ctx context.Context, from RestoreRequest, restored string) error {
	var err error
	for range renamings {
		var told *pgconn.PgError
		if err = pgx.BeginFunc(ctx, t.conn,
			func(tx pgx.Tx) error { return t.rename(ctx, tx, from, restored) }); err == nil {
			break
		}
		if !errors.As(err, &told) || told.Code != objectInUse {
			return err
		}
	}
	if err != nil {
		return err
	}
	t.new = ""
	return t.clean(ctx)
}

func (t *Target) rename(ctx context.Context, tx pgx.Tx, from RestoreRequest, restored string) error {
	if _, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ($1, $2)`, t.Database, t.new); err != nil {
		return err
	}
	for _, names := range [][2]string{{t.Database, t.Database + replaced + t.mark}, {t.new, t.Database}} {
		if _, err := tx.Exec(ctx, "ALTER DATABASE "+pgx.Identifier{names[0]}.Sanitize()+" RENAME TO "+
			pgx.Identifier{names[1]}.Sanitize()); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM public.restores
		WHERE name = $1 OR name IS NULL AND database NOT IN (SELECT oid FROM pg_database)`,
		t.Database); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO public.restores (database, name, restore_from, request, restored)
		SELECT oid, datname, $2, $3, $4 FROM pg_database WHERE datname = $1`, t.Database, from.From, from.ID,
		restored)
	return err
}

// Close removes a new database that did not take the other's place.
func (t *Target) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if t.new != "" {
		if err := t.clean(ctx); err != nil {
			slog.Warn("the next restore removes what this one leaves", "error", err)
		}
	}
	_ = t.conn.Close(ctx) // the server notices either way
}
