package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

// canonical settings make equal values look equal, whatever the defaults of the server or the role. Row-level
// security is an error instead of an omission. So is a view that has taken a table's name; none of its
// functions runs.
var canonical = map[string]string{
	"client_encoding": "UTF8", "search_path": "pg_catalog", "TimeZone": "UTC", "DateStyle": "ISO",
	"IntervalStyle": "postgres", "extra_float_digits": "1", "bytea_output": "hex", "xmloption": "content",
	"lc_monetary": "C", "row_security": "off", "statement_timeout": "0", "lock_timeout": "0",
	"idle_in_transaction_session_timeout": "0", "transaction_timeout": "0", "idle_session_timeout": "0",
	"synchronize_seqscans": "off", "application_name": "backup",
	"restrict_nonsystem_relation_kind": "view, foreign-table",
}

// userRelations selects relations by the letters of their kinds. It leaves out the system's, and the
// extensions': pg_dump leaves their contents to the extension.
const userRelations = `
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE strpos($1, c.relkind::text) > 0 AND c.relpersistence <> 't'
	AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
	AND NOT EXISTS (SELECT FROM pg_depend d
		WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
	ORDER BY n.nspname, c.relname`

// connections is how many connections to open to a database without other clients.
func connections() int { return min(runtime.GOMAXPROCS(0), 4) }

// readExclusive returns the content of a database without other clients, read over several connections.
func readExclusive(ctx context.Context, connect func(context.Context) (*pgx.Conn, error), suffix string,
	environment []string, args ...string) (content manifest.Content, err error) {
	conns := make([]*pgx.Conn, connections())
	for i := range conns {
		if conns[i], err = connect(ctx); err != nil {
			return content, err
		}
		defer conns[i].Close(ctx)
	}
	if content, err = readContent(ctx, conns, suffix, environment, args...); err != nil {
		return content, markPermanent(err)
	}
	content.Sequences, err = readSequences(ctx, conns[0])
	return content, markPermanent(err)
}

// readContent returns what all connections see of a database, without its sequences. It ignores a suffix of
// the database's name. The environment and the arguments are for pg_dump.
func readContent(ctx context.Context, conns []*pgx.Conn, suffix string, environment []string,
	args ...string) (
	content manifest.Content, err error) {
	relations, err := listTables(ctx, conns[0])
	if err != nil {
		return content, fmt.Errorf("list tables: %w", err)
	}
	if content.Tables, err = hashTables(ctx, conns, relations); err != nil {
		return content, err
	}
	if content.Roles, err = referencedRoles(ctx, conns[0], relations); err != nil {
		return content, err
	}
	return content, readSchema(ctx, &content, suffix, environment, args...)
}

func readSequences(ctx context.Context, conn *pgx.Conn) ([]manifest.Sequence, error) {
	sequences, err := query(ctx, conn, func(row pgx.CollectableRow) (s manifest.Sequence, err error) {
		return s, row.Scan(&s.Schema, &s.Name)
	}, `SELECT n.nspname, c.relname`+userRelations, "S")
	if err != nil {
		return nil, fmt.Errorf("list sequences: %w", err)
	}
	for i := range sequences {
		s := &sequences[i]
		name := pgx.Identifier{s.Schema, s.Name}.Sanitize()
		if err := conn.QueryRow(ctx, "SELECT last_value, is_called FROM "+name).Scan(&s.Value,
			&s.Called); err != nil {
			return nil, fmt.Errorf("read sequence %s.%s: %w", s.Schema, s.Name, err)
		}
	}
	return sequences, nil
}

// referencedRoles returns the roles that the database refers to: as owners, in grants and policies, in their
// settings for the database, and in columns of the type regrole.
func referencedRoles(ctx context.Context, conn *pgx.Conn, relations []relation) ([]string, error) {
	oids := `SELECT s.refobjid FROM pg_shdepend s JOIN pg_database d ON d.datname = current_database()
		WHERE s.refclassid = 'pg_authid'::regclass
		AND (s.dbid = d.oid OR s.classid = 'pg_database'::regclass AND s.objid = d.oid)
		UNION SELECT s.setrole FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
		WHERE d.datname = current_database()`
	for _, r := range relations {
		for _, column := range r.roleColumns {
			oids += fmt.Sprintf(" UNION SELECT unnest(ARRAY[%s]::regrole[])::oid FROM ONLY %s",
				pgx.Identifier{column}.Sanitize(), r.quoted())
		}
	}
	names, err := query(ctx, conn, pgx.RowTo[string], `SELECT DISTINCT r.rolname::text FROM pg_roles r
		WHERE r.oid IN (`+oids+`) AND r.rolname !~ '^pg_' ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	return names, nil
}

var errLargeObjects = errors.New(
	"the database has large objects, which cannot be compared: keep such data in columns of type bytea")

func refuseLargeObjects(ctx context.Context, conn *pgx.Conn) error {
	var exist bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_largeobject_metadata)`).Scan(
		&exist); err != nil {
		return fmt.Errorf("look for large objects: %w", err)
	}
	if exist {
		return errLargeObjects
	}
	return nil
}

// query collects the rows of a query.
func query[T any](
	ctx context.Context, conn *pgx.Conn, scan pgx.RowToFunc[T], sql string, args ...any,
) ([]T, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// readSchema records everything that makes the database except its rows.
func readSchema(
	ctx context.Context, content *manifest.Content, suffix string, environment []string, args ...string,
) (err error) {
	args = append([]string{"--schema-only", "--format=custom", "--compress=none"}, args...)
	environment = withParameters(environment, map[string]string{
		"TimeZone": "UTC", "bytea_output": "hex", "quote_all_identifiers": "off",
	})
	if content.Definition, err = output(ctx, environment, "pg_dump", args...); err != nil {
		return err
	}
	cmd, stderr := command(ctx, nil, "pg_restore", "--create", "--no-tablespaces", "--file=-")
	cmd.Stdin = bytes.NewReader(content.Definition)
	var statements bytes.Buffer
	cmd.Stdout = &statements
	if err := commandError(ctx, cmd, stderr, cmd.Run()); err != nil {
		return err
	}
	content.Schema, content.Objects = hashObjects(statements.Bytes(), suffix)
	return nil
}

var (
	// objectLine starts each object in the output of pg_restore.
	objectLine = regexp.MustCompile(`^-- Name: (.*); Type: (.*); Schema: (.*); Owner: `)
	// trailer follows an object's statements, and belongs to the next object.
	trailer = regexp.MustCompile(`(?:\n|--\n|SET default_\w+ = .*\n|-- PostgreSQL database dump complete\n)*$`)
)

// hashObjects hashes the output of pg_restore, as a whole and by object, after it removes a suffix.
func hashObjects(statements []byte, suffix string) (schema string, objects []manifest.Object) {
	whole := sha256.New()
	texts := map[string][]byte{}
	const preamble = "preamble"
	name, names := preamble, []string{preamble}
	for line := range bytes.Lines(statements) {
		if isVolatile(line) {
			continue
		}
		line = bytes.ReplaceAll(line, []byte(suffix), nil)
		whole.Write(line)
		if parts := objectLine.FindSubmatch(line); parts != nil {
			texts[name] = trailer.ReplaceAll(texts[name], nil)
			name = strings.ToLower(string(parts[2])) + " "
			if string(parts[3]) != "-" {
				name += string(parts[3]) + "."
			}
			name = strings.ToValidUTF8(name+string(parts[1]), "\uFFFD") // the database may have another encoding
			if _, again := texts[name]; !again {
				names = append(names, name)
			}
		}
		texts[name] = append(texts[name], line...)
	}
	texts[name] = trailer.ReplaceAll(texts[name], nil)
	for _, name := range names {
		digest := sha256.Sum256(texts[name])
		objects = append(objects, manifest.Object{Name: name, Hash: hex.EncodeToString(digest[:])})
	}
	return hex.EncodeToString(whole.Sum(nil)), objects
}

// isVolatile tells lines that differ between equal databases: versions, and keys that are new in each dump.
func isVolatile(line []byte) bool {
	for _, prefix := range []string{"-- Dumped from ", "-- Dumped by ", `\restrict `, `\unrestrict `} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			return true
		}
	}
	return false
}
