package postgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
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
	// role is the login of one that owns the new database and all in it until it is whole, and nothing else. It
	// goes when it owns nothing any more.
	role login
}

// Entries of a dump's contents, told apart by the OIDs of their catalogs in Postgres, which no name can
// imitate. What a superuser restores has no expressions, and so runs nobody's code.
var (
	entry = regexp.MustCompile(`(?m)^\d+; (\d+) (\d+) .*\n`)
	// ofDatabase make the database itself, with its owner, grants, settings and comment.
	ofDatabase = regexp.MustCompile(
		`^\d+; \d+ \d+ (DATABASE|DATABASE PROPERTIES|(ACL|COMMENT|SECURITY LABEL) - DATABASE) `)
	// early are what others need: pg_am, pg_cast, pg_extension, pg_foreign_server, pg_language, pg_opclass,
	// pg_opfamily, pg_transform, pg_ts_parser and pg_ts_template.
	early = regexp.MustCompile(`^\d+; (2601|2605|3079|1417|2612|2616|2753|3576|3601|3764) `)
	// late are what needs others: pg_event_trigger, pg_publication, pg_publication_namespace, pg_publication_rel
	// and pg_subscription; and pg_largeobject, whose owners are not among what is printed without rows.
	late = regexp.MustCompile(`^\d+; ((3466|6104|6237|6106|6100|2613) |0 0 (SEQUENCE SET|USER MAPPING|BLOBS) )`)
	// last are what needs owners: pg_default_acl and others.
	last = regexp.MustCompile(`^\d+; (826 |0 0 (ACL|COMMENT|SECURITY LABEL) )`)
	// Tables are in pg_class. Those of extensions have no entry of their own, but their rows may have one.
	ofTable = regexp.MustCompile(`^\d+; 1259 (\d+) `)
	ofRows  = regexp.MustCompile(`^\d+; 0 (\d+) TABLE DATA `)
)

// step is a part of a dump's contents that one role restores.
type step struct {
	superuser bool
	entries   []string
}

func (b *builder) run(ctx context.Context, contents string) error {
	all := entry.FindAllString(contents, -1)
	var database, ending, finishing []string
	var steps []step
	tables := map[string]bool{}
	for _, e := range all {
		if is := ofTable.FindStringSubmatch(e); is != nil {
			tables[is[1]] = true
		}
	}
	for _, e := range all {
		of := ofRows.FindStringSubmatch(e)
		super := early.MatchString(e) || of != nil && !tables[of[1]]
		switch {
		case ofDatabase.MatchString(e):
			database = append(database, e)
		case late.MatchString(e):
			ending = append(ending, e)
		case last.MatchString(e):
			finishing = append(finishing, e)
		case len(steps) > 0 && steps[len(steps)-1].superuser == super:
			steps[len(steps)-1].entries = append(steps[len(steps)-1].entries, e)
		default:
			steps = append(steps, step{super, []string{e}})
		}
	}
	asItWas, err := b.create(ctx, database)
	if err != nil {
		return fmt.Errorf("create it: %w", err)
	}
	var owned []string
	for _, step := range steps {
		if err := b.restore(ctx, step, "--no-owner"); err != nil {
			return err
		}
		if step.superuser {
			if err := b.takeServers(ctx); err != nil {
				return fmt.Errorf("take over foreign servers: %w", err)
			}
		}
		owned = append(owned, step.entries...)
	}
	if err := b.restore(ctx, step{true, ending}); err != nil {
		return err
	}
	if err := b.giveAway(ctx, owned, asItWas); err != nil {
		return fmt.Errorf("give all to its owners: %w", err)
	}
	if err := b.restore(ctx, step{true, finishing}); err != nil {
		return err
	}
	_, err = b.conn.Exec(ctx, "DROP ROLE "+pgx.Identifier{b.new}.Sanitize())
	return err
}

// create makes the role, and an empty database that belongs to it and has everything else of the one in the
// dump. It returns the statements that make it one that belongs to the owner in the dump.
func (b *builder) create(ctx context.Context, entries []string) (asItWas []string, err error) {
	password := rand.Text()
	b.role = b.login.in(b.new).as(b.new, password)
	role := pgx.Identifier{b.new}.Sanitize()
	// The server shall not log the password.
	if _, err := b.conn.Exec(ctx,
		`SET log_statement = none; SET log_min_duration_statement = -1; SET log_min_error_statement = panic`); err != nil {
		return nil, err
	}
	if _, err := b.conn.Exec(ctx,
		fmt.Sprintf("CREATE ROLE %s LOGIN BYPASSRLS PASSWORD '%s'", role, password)); err != nil {
		return nil, fmt.Errorf("create a role: %w", err)
	}
	if err := b.define(ctx, entries); err != nil {
		return nil, err
	}
	const how = `SELECT ARRAY[format('ALTER DATABASE %1$I OWNER TO %2$I', datname, pg_get_userbyid(datdba)),
		format('ALTER DATABASE %I CONNECTION LIMIT %s', datname, datconnlimit)] FROM pg_database WHERE datname = $1`
	if err := b.conn.QueryRow(ctx, how, b.new).Scan(&asItWas); err != nil {
		return nil, err
	}
	_, err = b.conn.Exec(ctx, fmt.Sprintf(
		"ALTER DATABASE %[1]s OWNER TO %[1]s; ALTER DATABASE %[1]s CONNECTION LIMIT -1", role))
	return asItWas, err
}

// define runs entries of the database itself, for the new one in its place. pg_restore itself would make it
// under its own name.
func (b *builder) define(ctx context.Context, entries []string) error {
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
	cmd, said := program(ctx, b.environment(), "psql", b.login.in(superuser).argument(), "--no-password",
		"--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
	cmd.Stdin = strings.NewReader(renamed(string(statements), old, quoted))
	return failure(ctx, cmd, said, cmd.Run())
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
	as, environment := b.role, withOptions(b.role.environment(), map[string]string{
		"role": "none", "default_transaction_read_only": "off", "synchronous_commit": "off",
	})
	if s.superuser {
		as, environment = b.login.in(b.new), b.environment()
	}
	args = append(args, as.argument(), "--no-password", "--exit-on-error", "--no-tablespaces", list,
		fmt.Sprintf("--jobs=%d", jobs()), b.dump)
	_, err = output(ctx, environment, "pg_restore", args...)
	if err != nil && !s.superuser && forbidden.MatchString(err.Error()) {
		return fmt.Errorf("only a superuser could make this, and none of the database's own code may run as one: "+
			"leave it to an extension, or restore the dump by hand: %w", err)
	}
	return withWayOut(err)
}

var forbidden = regexp.MustCompile(
	`(?i)permission denied|must be superuser|must be owner|only superuser|cannot be internal`)

// takeServers gives foreign servers, which a superuser has made, to the role, which makes foreign tables of
// them.
func (b *builder) takeServers(ctx context.Context) error {
	conn, err := b.login.in(b.new).connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT format('ALTER SERVER %I OWNER TO %I', srvname, $1::text) FROM pg_foreign_server s
		WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_foreign_server'::regclass AND objid = s.oid AND deptype = 'e')`, b.new)
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return execAll(ctx, conn, statements)
}

// giveAway gives what entries have made, and the database, to the owners that the dump names.
func (b *builder) giveAway(ctx context.Context, entries, asItWas []string) error {
	with, err := b.statements(ctx, entries, "--schema-only")
	if err != nil {
		return err
	}
	without, err := b.statements(ctx, entries, "--schema-only", "--no-owner")
	if err != nil {
		return err
	}
	statements, err := owners(with, without)
	if err != nil {
		return err
	}
	conn, err := b.login.in(b.new).connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	const fast = `SET synchronous_commit = off; `
	if _, err := conn.Exec(ctx, fast+encodingLine.FindString(string(with))); err != nil {
		return err
	}
	if err := execAll(ctx, conn, statements); err != nil {
		return err
	}
	return execAll(ctx, b.conn, asItWas)
}

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

// list is an argument of pg_restore that selects entries.
func (b *builder) list(entries []string) (string, error) {
	file := b.dump + ".list"
	return "--use-list=" + file, os.WriteFile(file, []byte(strings.Join(entries, "")), 0o600)
}

// encodingLine sets the encoding in which pg_restore prints, the database's own.
var encodingLine = regexp.MustCompile(`(?m)^SET client_encoding = '\w+';$`)

// ofOwner is a single statement that gives something to its owner. In names, quoted, all else may stand.
var ofOwner = regexp.MustCompile(
	`^ALTER (?:[^";']|"(?:[^"]|"")*")* OWNER TO (?:[^";'\s]+|"(?:[^"]|"")*");\n*$`)

var errOwners = errors.New("cannot tell owners from what pg_restore prints: has the name of an object several lines? Rename it")

// owners are the statements that are in one text of pg_restore, and not in another one that was made without
// owners. Nothing of what stands in both, such as the body of a function, can be taken for one.
func owners(with, without []byte) (statements []string, err error) {
	rest := bytes.SplitAfter(without, []byte("\n"))
	var statement []byte
	end := func() error {
		if len(bytes.TrimSpace(statement)) > 0 {
			if !ofOwner.Match(statement) {
				return fmt.Errorf("%w: %w: %q", ErrPermanent, errOwners, statement)
			}
			statements = append(statements, string(statement))
		}
		statement = nil
		return nil
	}
	for line := range bytes.Lines(with) {
		if len(rest) > 0 && isSame(line, rest[0]) {
			rest = rest[1:]
			if err := end(); err != nil {
				return nil, err
			}
			continue
		}
		statement = append(statement, line...)
	}
	if err := end(); err != nil {
		return nil, err
	}
	if len(bytes.Join(rest, nil)) > 0 {
		return nil, fmt.Errorf("%w: %w: %q is missing", ErrPermanent, errOwners, rest[0])
	}
	return statements, nil
}

// isSame is whether lines are the same but for the owner in a comment, and the keys that are new each time.
func isSame(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	for _, prefix := range []string{"-- Name: ", "-- Data for Name: ", `\restrict `, `\unrestrict `} {
		if bytes.HasPrefix(a, []byte(prefix)) && bytes.HasPrefix(b, []byte(prefix)) {
			return true
		}
	}
	return false
}
