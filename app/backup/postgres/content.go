package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/backup/archive"
)

// uniform makes equal values look equal, whatever the server's or the role's settings. Row-level security is an error
// instead of an omission. A view that took a table's name meanwhile is an error too, and none of its functions runs.
var uniform = map[string]string{
	"client_encoding": "UTF8", "search_path": "pg_catalog", "TimeZone": "UTC", "DateStyle": "ISO", "IntervalStyle": "postgres",
	"extra_float_digits": "1", "bytea_output": "hex", "xmloption": "content", "lc_monetary": "C", "row_security": "off",
	"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0", "transaction_timeout": "0",
	"idle_session_timeout": "0", "synchronize_seqscans": "off", "application_name": "backup",
	"restrict_nonsystem_relation_kind": "view, foreign-table",
}

// ours are the objects of some kinds, a letter each, that are neither the system's nor an extension's own, whose contents pg_dump
// leaves to the extension.
const ours = `
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE strpos($1, c.relkind::text) > 0 AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
	ORDER BY n.nspname, c.relname`

// relation is a table with the SQL that reads its rows.
type relation struct {
	oid                uint32
	schema, name, rows string
}

func relations(ctx context.Context, conn *pgx.Conn) ([]relation, error) {
	rows, err := conn.Query(ctx, `SELECT c.oid, n.nspname, c.relname, array(
		SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attname)`+ours, "r")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
		var columns []string
		err = row.Scan(&r.oid, &r.schema, &r.name, &columns)
		for i, column := range columns {
			columns[i] = pgx.Identifier{column}.Sanitize()
		}
		r.rows = "SELECT " + strings.Join(columns, ", ") + " FROM ONLY " + pgx.Identifier{r.schema, r.name}.Sanitize()
		return r, err
	})
}

const mostJobs = 4

// jobs is how many connections at once a database has that nobody else uses.
func jobs() int { return min(runtime.GOMAXPROCS(0), mostJobs) }

// recordAlone is what a database holds that nobody else uses, read over several connections.
func recordAlone(ctx context.Context, connect func(context.Context) (*pgx.Conn, error), suffix string, environment []string, args ...string) (content archive.Content, err error) {
	conns := make([]*pgx.Conn, jobs())
	for i := range conns {
		if conns[i], err = connect(ctx); err != nil {
			return content, err
		}
		defer conns[i].Close(ctx)
	}
	if content, err = record(ctx, conns, suffix, environment, args...); err != nil {
		return content, err
	}
	content.Sequences, err = sequences(ctx, conns[0])
	return content, err
}

// record is what a database holds, but for its sequences, as all connections see it. A suffix of the database's name does not count. The
// environment and the arguments let pg_dump find it.
func record(ctx context.Context, conns []*pgx.Conn, suffix string, environment []string, args ...string) (content archive.Content, err error) {
	if content.Tables, err = tables(ctx, conns); err != nil {
		return content, err
	}
	if content.Roles, err = roles(ctx, conns[0]); err != nil {
		return content, err
	}
	content.Schema, err = schema(ctx, suffix, environment, args...)
	return content, err
}

// tables counts and hashes the rows of all tables.
func tables(ctx context.Context, conns []*pgx.Conn) ([]archive.Table, error) {
	all, err := relations(ctx, conns[0])
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	parts := make([][]*part, len(all))
	for i, r := range all {
		if parts[i], err = r.parts(ctx, conns[0]); err != nil {
			return nil, fmt.Errorf("measure table %s.%s: %w", r.schema, r.name, err)
		}
	}
	if err := read(ctx, conns, slices.Concat(parts...)); err != nil {
		return nil, err
	}
	hashed := []archive.Table{}
	for i, r := range all {
		var hash archive.RowHash
		for _, p := range parts[i] {
			hash.Add(p.hash)
		}
		hashed = append(hashed, archive.Table{Schema: r.schema, Name: r.name, Rows: hash.Rows(), Hash: hash.String()})
	}
	return hashed, nil
}

// partSize is about how much of a table is read at once, in bytes.
const partSize = 64 << 20

// part is the rows in a range of a table's blocks, and their hash once they are read.
type part struct {
	relation
	first, end int64
	hash       archive.RowHash
}

// parts are all of the table: rows that are there already are in none of the blocks that it may grow by.
func (r relation) parts(ctx context.Context, conn *pgx.Conn) ([]*part, error) {
	var blocks, size int64
	if err := conn.QueryRow(ctx, `SELECT pg_relation_size($1::oid) / current_setting('block_size')::bigint, pg_table_size($1::oid)`, r.oid).Scan(&blocks, &size); err != nil {
		return nil, err
	}
	count := 1 + size/partSize
	var parts []*part
	for i := range count {
		parts = append(parts, &part{relation: r, first: blocks * i / count, end: blocks * (i + 1) / count})
	}
	return parts, nil
}

// read hashes the rows of all parts, each over the next connection that is free.
func read(ctx context.Context, conns []*pgx.Conn, parts []*part) error {
	waiting := make(chan *part, len(parts))
	for _, p := range parts {
		waiting <- p
	}
	close(waiting)
	group, ctx := errgroup.WithContext(ctx)
	for _, conn := range conns {
		group.Go(func() error {
			for p := range waiting {
				// Postgres sends each row as one message, and pgx writes each message as one.
				// Source: https://www.postgresql.org/docs/17/protocol-flow.html#PROTOCOL-COPY
				rows := fmt.Sprintf("%s WHERE ctid >= '(%d,0)' AND ctid < '(%d,0)'", p.rows, p.first, p.end)
				if _, err := conn.PgConn().CopyTo(ctx, &p.hash, "COPY ("+rows+") TO STDOUT"); err != nil {
					return fmt.Errorf("read table %s.%s: %w", p.schema, p.name, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func sequences(ctx context.Context, conn *pgx.Conn) ([]archive.Sequence, error) {
	rows, err := conn.Query(ctx, `SELECT n.nspname, c.relname`+ours, "S")
	if err != nil {
		return nil, fmt.Errorf("list sequences: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s archive.Sequence, err error) {
		return s, row.Scan(&s.Schema, &s.Name)
	})
	if err != nil {
		return nil, fmt.Errorf("list sequences: %w", err)
	}
	for i := range all {
		s := &all[i]
		from := pgx.Identifier{s.Schema, s.Name}.Sanitize()
		if err := conn.QueryRow(ctx, "SELECT last_value, is_called FROM "+from).Scan(&s.Value, &s.Called); err != nil {
			return nil, fmt.Errorf("read sequence %s.%s: %w", s.Schema, s.Name, err)
		}
	}
	return all, nil
}

// roles are those that the database and what is in it name as owners or in grants and policies.
func roles(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `SELECT DISTINCT r.rolname::text FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
		JOIN pg_database d ON d.datname = current_database()
		WHERE s.refclassid = 'pg_authid'::regclass AND (s.dbid = d.oid OR s.classid = 'pg_database'::regclass AND s.objid = d.oid)
		AND r.rolname !~ '^pg_' ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	return names, nil
}

var errLargeObjects = errors.New("the database has large objects, which cannot be compared: keep such data in columns of type bytea")

func refuseLargeObjects(ctx context.Context, conn *pgx.Conn) error {
	var some bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_largeobject_metadata)`).Scan(&some); err != nil {
		return fmt.Errorf("look for large objects: %w", err)
	}
	if some {
		return errLargeObjects
	}
	return nil
}

// schema hashes all that makes the database but its rows.
func schema(ctx context.Context, suffix string, environment []string, args ...string) (string, error) {
	statements, err := output(ctx, environment, "pg_dump", append([]string{"--schema-only", "--create", "--no-tablespaces"}, args...)...)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for line := range bytes.Lines(statements) {
		if !isNoise(line) {
			hash.Write(bytes.ReplaceAll(line, []byte(suffix), nil))
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// isNoise tells lines that differ between equal databases: versions, and keys that are new in each dump.
func isNoise(line []byte) bool {
	for _, prefix := range []string{"-- Dumped from ", "-- Dumped by ", `\restrict `, `\unrestrict `} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			return true
		}
	}
	return false
}
