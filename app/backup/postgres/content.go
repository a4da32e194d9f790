package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

// uniform makes equal values look equal, whatever the server's or the role's settings. Row-level security is
// an error instead of an omission. A view that took a table's name meanwhile is an error too, and none of its
// functions runs.
var uniform = map[string]string{
	"client_encoding": "UTF8", "search_path": "pg_catalog", "TimeZone": "UTC", "DateStyle": "ISO",
	"IntervalStyle":      "postgres",
	"extra_float_digits": "1", "bytea_output": "hex", "xmloption": "content", "lc_monetary": "C",
	"row_security":      "off",
	"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0",
	"transaction_timeout":  "0",
	"idle_session_timeout": "0", "synchronize_seqscans": "off", "application_name": "backup",
	"restrict_nonsystem_relation_kind": "view, foreign-table",
}

// ours are the objects of some kinds, a letter each, that are neither the system's nor an extension's own,
// whose contents pg_dump leaves to the extension.
const ours = `
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE strpos($1, c.relkind::text) > 0 AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
	ORDER BY n.nspname, c.relname`

// relation is a table with the SQL that reads its rows, without its generated columns too if it has any, and
// the names of its columns that hold roles.
type relation struct {
	oid                       uint32
	schema, name, rows, given string
	generated, roles          []string
	// root is the schema and the name of the partitioned table whose rows may be in another of its partitions
	// when they are restored; empty if there is none.
	root []string
}

// movingRoot is the root of a partition by a hash of an enum, whose values have other numbers in each
// database.
const movingRoot = `coalesce((SELECT ARRAY[rn.nspname::text, rc.relname::text]
	FROM pg_class rc JOIN pg_namespace rn ON rn.oid = rc.relnamespace
	WHERE rc.oid = pg_partition_root(c.oid) AND EXISTS (
		SELECT FROM pg_partition_ancestors(c.oid) a JOIN pg_partitioned_table p ON p.partrelid = a.relid
		JOIN pg_opclass o ON o.oid = ANY (p.partclass)
		WHERE p.partstrat = 'h' AND o.opcintype = 'anyenum'::regtype)), '{}')`

func relations(ctx context.Context, conn *pgx.Conn) ([]relation, error) {
	const columns = `SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`
	rows, err := conn.Query(ctx, `SELECT c.oid, n.nspname, c.relname, array(`+columns+` ORDER BY a.attname),
		array(`+columns+` AND a.attgenerated <> '' ORDER BY a.attname),
		array(`+columns+` AND 'regrole'::regtype IN (t.oid, t.typelem, t.typbasetype) ORDER BY a.attname), `+
		movingRoot+ours, "r")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
		var columns []string
		err = row.Scan(&r.oid, &r.schema, &r.name, &columns, &r.generated, &r.roles, &r.root)
		r.rows = r.selecting(columns)
		if len(r.generated) > 0 {
			isGenerated := func(column string) bool { return slices.Contains(r.generated, column) }
			r.given = r.selecting(slices.DeleteFunc(columns, isGenerated))
		}
		return r, err
	})
}

func (r relation) selecting(columns []string) string {
	var quoted []string
	for _, column := range columns {
		quoted = append(quoted, pgx.Identifier{column}.Sanitize())
	}
	return "SELECT " + strings.Join(quoted, ", ") + " FROM ONLY " + pgx.Identifier{r.schema, r.name}.Sanitize()
}

const mostJobs = 4

// jobs is how many connections at once a database has that nobody else uses.
func jobs() int { return min(runtime.GOMAXPROCS(0), mostJobs) }

// recordAlone is what a database holds that nobody else uses, read over several connections.
func recordAlone(ctx context.Context, connect func(context.Context) (*pgx.Conn, error), suffix string,
	environment []string, args ...string) (content manifest.Content, err error) {
	conns := make([]*pgx.Conn, jobs())
	for i := range conns {
		if conns[i], err = connect(ctx); err != nil {
			return content, err
		}
		defer conns[i].Close(ctx)
	}
	if content, err = record(ctx, conns, suffix, environment, args...); err != nil {
		return content, refused(err)
	}
	content.Sequences, err = sequences(ctx, conns[0])
	return content, refused(err)
}

// record is what a database holds, but for its sequences, as all connections see it. A suffix of the
// database's name does not count. The environment and the arguments let pg_dump find it.
func record(ctx context.Context, conns []*pgx.Conn, suffix string, environment []string,
	args ...string) (content manifest.Content, err error) {
	all, err := relations(ctx, conns[0])
	if err != nil {
		return content, fmt.Errorf("list tables: %w", err)
	}
	if content.Tables, err = tables(ctx, conns, all); err != nil {
		return content, err
	}
	if content.Roles, err = roles(ctx, conns[0], all); err != nil {
		return content, err
	}
	return content, define(ctx, &content, suffix, environment, args...)
}

// tables counts and hashes the rows of all tables.
func tables(ctx context.Context, conns []*pgx.Conn, all []relation) ([]manifest.Table, error) {
	parts := make([][]*part, len(all))
	for i, r := range all {
		var err error
		if parts[i], err = r.parts(ctx, conns[0]); err != nil {
			return nil, fmt.Errorf("measure table %s.%s: %w", r.schema, r.name, err)
		}
	}
	if err := read(ctx, conns, slices.Concat(parts...)); err != nil {
		return nil, err
	}
	type sum struct {
		manifest.Table
		all, given manifest.RowHash
	}
	sums := map[[2]string]*sum{}
	for i, r := range all {
		name := [2]string{r.schema, r.name}
		if len(r.root) > 0 {
			name = [2]string(r.root)
		}
		s := sums[name]
		if s == nil {
			s = &sum{Table: manifest.Table{Schema: name[0], Name: name[1], Generated: r.generated}}
			sums[name] = s
		}
		for _, p := range parts[i] {
			if p.what == r.rows {
				s.all.Add(p.hash)
			} else {
				s.given.Add(p.hash)
			}
		}
	}
	hashed := []manifest.Table{}
	byName := func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }
	for _, name := range slices.SortedFunc(maps.Keys(sums), byName) {
		s := sums[name]
		s.Rows, s.Hash = s.all.Rows(), s.all.String()
		if len(s.Generated) > 0 {
			s.Given = s.given.String()
		}
		hashed = append(hashed, s.Table)
	}
	return hashed, nil
}

// partSize is about how much of a table is read at once, in bytes.
const partSize = 64 << 20

// part is what is read of the rows in a range of a table's blocks, and their hash once they are read.
type part struct {
	relation
	what       string
	first, end int64
	hash       manifest.RowHash
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
		first, end := blocks*i/count, blocks*(i+1)/count
		parts = append(parts, &part{relation: r, what: r.rows, first: first, end: end})
		if r.given != "" {
			parts = append(parts, &part{relation: r, what: r.given, first: first, end: end})
		}
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
				rows := fmt.Sprintf("%s WHERE ctid >= '(%d,0)' AND ctid < '(%d,0)'", p.what, p.first, p.end)
				if _, err := conn.PgConn().CopyTo(ctx, &p.hash, "COPY ("+rows+") TO STDOUT"); err != nil {
					return fmt.Errorf("read table %s.%s: %w", p.schema, p.name, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func sequences(ctx context.Context, conn *pgx.Conn) ([]manifest.Sequence, error) {
	rows, err := conn.Query(ctx, `SELECT n.nspname, c.relname`+ours, "S")
	if err != nil {
		return nil, fmt.Errorf("list sequences: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s manifest.Sequence, err error) {
		return s, row.Scan(&s.Schema, &s.Name)
	})
	if err != nil {
		return nil, fmt.Errorf("list sequences: %w", err)
	}
	for i := range all {
		s := &all[i]
		from := pgx.Identifier{s.Schema, s.Name}.Sanitize()
		if err := conn.QueryRow(ctx, "SELECT last_value, is_called FROM "+from).Scan(&s.Value,
			&s.Called); err != nil {
			return nil, fmt.Errorf("read sequence %s.%s: %w", s.Schema, s.Name, err)
		}
	}
	return all, nil
}

// roles are those that the database and what is in it name: as owners, in grants and policies, in settings of
// their own for the database, and in columns of the type regrole.
func roles(ctx context.Context, conn *pgx.Conn, all []relation) ([]string, error) {
	named := `SELECT s.refobjid FROM pg_shdepend s JOIN pg_database d ON d.datname = current_database()
		WHERE s.refclassid = 'pg_authid'::regclass AND (s.dbid = d.oid OR s.classid = 'pg_database'::regclass AND s.objid = d.oid)
		UNION SELECT s.setrole FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
		WHERE d.datname = current_database()`
	for _, r := range all {
		for _, column := range r.roles {
			named += fmt.Sprintf(" UNION SELECT unnest(ARRAY[%s]::regrole[])::oid FROM ONLY %s",
				pgx.Identifier{column}.Sanitize(), pgx.Identifier{r.schema, r.name}.Sanitize())
		}
	}
	rows, err := conn.Query(ctx, `SELECT DISTINCT r.rolname::text FROM pg_roles r
		WHERE r.oid IN (`+named+`) AND r.rolname !~ '^pg_' ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	return names, nil
}

var errLargeObjects = errors.New(
	"the database has large objects, which cannot be compared: keep such data in columns of type bytea")

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

// define records all that makes the database but its rows.
func define(
	ctx context.Context, content *manifest.Content, suffix string, environment []string, args ...string,
) (err error) {
	args = append([]string{"--schema-only", "--format=custom", "--compress=none"}, args...)
	environment = withOptions(environment, map[string]string{
		"TimeZone": "UTC", "bytea_output": "hex", "quote_all_identifiers": "off",
	})
	if content.Definition, err = output(ctx, environment, "pg_dump", args...); err != nil {
		return err
	}
	cmd, said := program(ctx, nil, "pg_restore", "--create", "--no-tablespaces", "--file=-")
	cmd.Stdin = bytes.NewReader(content.Definition)
	var statements bytes.Buffer
	cmd.Stdout = &statements
	if err := failure(ctx, cmd, said, cmd.Run()); err != nil {
		return err
	}
	content.Schema, content.Objects = objects(statements.Bytes(), suffix)
	return nil
}

var (
	// objectLine begins each object in what pg_restore prints.
	objectLine = regexp.MustCompile(`^-- Name: (.*); Type: (.*); Schema: (.*); Owner: `)
	// between is what stands after an object's statements, for whatever comes next.
	between = regexp.MustCompile(`(?:\n|--\n|SET default_\w+ = .*\n|-- PostgreSQL database dump complete\n)*$`)
)

// objects hashes statements of pg_restore, as a whole and each object's, without a suffix.
func objects(statements []byte, suffix string) (schema string, all []manifest.Object) {
	whole := sha256.New()
	texts := map[string][]byte{}
	const preamble = "preamble"
	name, names := preamble, []string{preamble}
	for line := range bytes.Lines(statements) {
		if isNoise(line) {
			continue
		}
		line = bytes.ReplaceAll(line, []byte(suffix), nil)
		whole.Write(line)
		if parts := objectLine.FindSubmatch(line); parts != nil {
			texts[name] = between.ReplaceAll(texts[name], nil)
			name = strings.ToLower(string(parts[2])) + " "
			if string(parts[3]) != "-" {
				name += string(parts[3]) + "."
			}
			name = strings.ToValidUTF8(name+string(parts[1]), "\uFFFD") // of a database of another encoding
			if _, again := texts[name]; !again {
				names = append(names, name)
			}
		}
		texts[name] = append(texts[name], line...)
	}
	texts[name] = between.ReplaceAll(texts[name], nil)
	for _, name := range names {
		digest := sha256.Sum256(texts[name])
		all = append(all, manifest.Object{Name: name, Hash: hex.EncodeToString(digest[:])})
	}
	return hex.EncodeToString(whole.Sum(nil)), all
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
