package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// builder makes the new database of a target.
type builder struct {
	*Target
	dump string
	// role owns the new database and everything in it until it is complete. It owns nothing else, and is
	// dropped afterwards.
	role login
}

// Entries of a dump's list are told apart by the OIDs of their catalogs in Postgres, which no name can
// imitate. The superuser's entries have no expressions, and so run no code of other roles.
var (
	entry = regexp.MustCompile(`(?m)^\d+; (\d+) (\d+) .*\n`)
	// databaseEntry makes the database itself, with its owner, grants, settings and comment.
	databaseEntry = regexp.MustCompile(
		`^\d+; \d+ \d+ (DATABASE|DATABASE PROPERTIES|(ACL|COMMENT|SECURITY LABEL) - DATABASE) `)
	// earlyEntry is needed by others: pg_am, pg_cast, pg_extension, pg_foreign_server, pg_language, pg_opclass,
	// pg_opfamily, pg_transform, pg_ts_parser and pg_ts_template.
	earlyEntry = regexp.MustCompile(`^\d+; (2601|2605|3079|1417|2612|2616|2753|3576|3601|3764) `)
	// lateEntry needs others: pg_event_trigger, pg_publication, pg_publication_namespace, pg_publication_rel and
	// pg_subscription; and pg_largeobject: its owners are printed only with rows.
	lateEntry = regexp.MustCompile(
		`^\d+; ((3466|6104|6237|6106|6100|2613) |0 0 (SEQUENCE SET|USER MAPPING|BLOBS) )`)
	// lastEntry needs owners: pg_default_acl and others.
	lastEntry = regexp.MustCompile(`^\d+; (826 |0 0 (ACL|COMMENT|SECURITY LABEL) )`)
	// Tables are in pg_class. A table of an extension has no entry of its own, but its rows may have one.
	tableEntry = regexp.MustCompile(`^\d+; 1259 (\d+) `)
	rowsEntry  = regexp.MustCompile(`^\d+; 0 (\d+) TABLE DATA `)
)

// step is a part of a dump's list that one role restores.
type step struct {
	superuser bool
	entries   []string
}

// plan divides a dump's list by when it is restored, and by which role.
type plan struct {
	database []string
	steps    []step
	// late and last are for a superuser, after the steps and after the owners are set.
	late, last []string
}

func newPlan(contents string) (p plan) {
	entries := entry.FindAllString(contents, -1)
	tables := map[string]bool{}
	for _, e := range entries {
		if table := tableEntry.FindStringSubmatch(e); table != nil {
			tables[table[1]] = true
		}
	}
	for _, e := range entries {
		rows := rowsEntry.FindStringSubmatch(e)
		superuser := earlyEntry.MatchString(e) || rows != nil && !tables[rows[1]]
		switch last := len(p.steps) - 1; {
		case databaseEntry.MatchString(e):
			p.database = append(p.database, e)
		case lateEntry.MatchString(e):
			p.late = append(p.late, e)
		case lastEntry.MatchString(e):
			p.last = append(p.last, e)
		case last >= 0 && p.steps[last].superuser == superuser:
			p.steps[last].entries = append(p.steps[last].entries, e)
		default:
			p.steps = append(p.steps, step{superuser, []string{e}})
		}
	}
	return p
}

func (b *builder) build(ctx context.Context, contents string) error {
	plan := newPlan(contents)
	resetDatabase, err := b.create(ctx, plan.database)
	if err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	var owned []string
	for _, step := range plan.steps {
		if err := b.restore(ctx, step, "--no-owner"); err != nil {
			return err
		}
		if step.superuser {
			if err := b.ownServers(ctx); err != nil {
				return fmt.Errorf("take over foreign servers: %w", err)
			}
		}
		owned = append(owned, step.entries...)
	}
	if err := b.restore(ctx, step{true, plan.late}); err != nil {
		return err
	}
	if err := b.setOwners(ctx, owned, resetDatabase); err != nil {
		return fmt.Errorf("set the owners: %w", err)
	}
	if err := b.restore(ctx, step{true, plan.last}); err != nil {
		return err
	}
	_, err = b.conn.Exec(ctx, "DROP ROLE "+pgx.Identifier{b.new}.Sanitize())
	return err
}

// create makes the role, and an empty database that belongs to it and is otherwise like the one in the dump.
// It returns the statements that make it entirely so.
func (b *builder) create(ctx context.Context, entries []string) (reset []string, err error) {
	password := rand.Text()
	b.role = b.login.to(b.new).as(b.new, password)
	role := pgx.Identifier{b.new}.Sanitize()
	// The server must not log the password.
	if _, err := b.conn.Exec(ctx, `SET log_statement = none; SET log_min_duration_statement = -1;
		SET log_min_error_statement = panic`); err != nil {
		return nil, err
	}
	if _, err := b.conn.Exec(ctx,
		fmt.Sprintf("CREATE ROLE %s LOGIN BYPASSRLS PASSWORD '%s'", role, password)); err != nil {
		return nil, fmt.Errorf("create a role: %w", err)
	}
	if err := b.createDatabase(ctx, entries); err != nil {
		return nil, err
	}
	const asItWas = `SELECT ARRAY[format('ALTER DATABASE %1$I OWNER TO %2$I', datname, pg_get_userbyid(datdba)),
		format('ALTER DATABASE %I CONNECTION LIMIT %s', datname, datconnlimit)] FROM pg_database WHERE datname = $1`
	if err := b.conn.QueryRow(ctx, asItWas, b.new).Scan(&reset); err != nil {
		return nil, err
	}
	_, err = b.conn.Exec(ctx, fmt.Sprintf(
		"ALTER DATABASE %[1]s OWNER TO %[1]s; ALTER DATABASE %[1]s CONNECTION LIMIT -1", role))
	return reset, err
}

// createDatabase runs the entries of the database itself under the new name. pg_restore would use the old
// one.
func (b *builder) createDatabase(ctx context.Context, entries []string) error {
	statements, err := b.statements(ctx, entries, "--create", "--no-tablespaces")
	if err != nil {
		return err
	}
	old, err := b.quote(ctx, b.Database)
	if err != nil {
		return err
	}
	quoted, err := b.quote(ctx, b.new)
	if err != nil {
		return err
	}
	cmd, stderr := command(ctx, b.environment(), "psql", b.login.to(superuser).argument(), "--no-password",
		"--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
	cmd.Stdin = strings.NewReader(renameDatabase(string(statements), old, quoted))
	return commandError(ctx, cmd, stderr, cmd.Run())
}

// restore restores a step.
func (b *builder) restore(ctx context.Context, s step, args ...string) error {
	if len(s.entries) == 0 {
		return nil
	}
	list, err := b.list(s.entries)
	if err != nil {
		return err
	}
	login, environment := b.role, withParameters(b.role.environment(), map[string]string{
		"role": "none", "default_transaction_read_only": "off", "synchronous_commit": "off",
	})
	if s.superuser {
		login, environment = b.login.to(b.new), b.environment()
	}
	args = append(args, login.argument(), "--no-password", "--exit-on-error", "--no-tablespaces", list,
		fmt.Sprintf("--jobs=%d", connections()), b.dump)
	_, err = output(ctx, environment, "pg_restore", args...)
	if err != nil && !s.superuser && needsSuperuser.MatchString(err.Error()) {
		return fmt.Errorf("only a superuser could make this, and none of the database's own code may run as one: "+
			"leave it to an extension, or restore the dump by hand: %w", err)
	}
	return withRemedy(err)
}

var needsSuperuser = regexp.MustCompile(
	`(?i)permission denied|must be superuser|must be owner|only superuser|cannot be internal`)

// ownServers gives foreign servers, which a superuser has made, to the role, which makes their foreign
// tables.
func (b *builder) ownServers(ctx context.Context) error {
	conn, err := b.login.to(b.new).connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	statements, err := query(ctx, conn, pgx.RowTo[string],
		`SELECT format('ALTER SERVER %I OWNER TO %I', srvname, $1::text) FROM pg_foreign_server s
		WHERE NOT EXISTS (SELECT FROM pg_depend
			WHERE classid = 'pg_foreign_server'::regclass AND objid = s.oid AND deptype = 'e')`, b.new)
	if err != nil {
		return err
	}
	return execAll(ctx, conn, statements)
}

// setOwners gives what the entries made, and the database, to the owners in the dump.
func (b *builder) setOwners(ctx context.Context, entries, resetDatabase []string) error {
	with, err := b.statements(ctx, entries, "--schema-only")
	if err != nil {
		return err
	}
	without, err := b.statements(ctx, entries, "--schema-only", "--no-owner")
	if err != nil {
		return err
	}
	statements, err := ownerStatements(with, without)
	if err != nil {
		return err
	}
	conn, err := b.login.to(b.new).connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// pg_restore prints in the database's own encoding.
	encoding := encodingLine.FindString(string(with))
	if _, err := conn.Exec(ctx, "SET synchronous_commit = off; "+encoding); err != nil {
		return err
	}
	if err := execAll(ctx, conn, statements); err != nil {
		return err
	}
	return execAll(ctx, b.conn, resetDatabase)
}

var encodingLine = regexp.MustCompile(`(?m)^SET client_encoding = '\w+';$`)

func execAll(ctx context.Context, conn *pgx.Conn, statements []string) error {
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// statements returns the SQL of entries.
func (b *builder) statements(ctx context.Context, entries []string, args ...string) ([]byte, error) {
	list, err := b.list(entries)
	if err != nil {
		return nil, err
	}
	return output(ctx, nil, "pg_restore", append(args, list, "--file=-", b.dump)...)
}

// list returns the argument that makes pg_restore restore only these entries.
func (b *builder) list(entries []string) (string, error) {
	file := b.dump + ".list"
	return "--use-list=" + file, os.WriteFile(file, []byte(strings.Join(entries, "")), 0o600)
}
