package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/backup/archive"
)

// longestName is what Postgres keeps of a name, in bytes.
const longestName = 63

// Restore makes the new database of a dump in a file.
func (t *Target) Restore(ctx context.Context, dump string) error {
	if err := t.name(ctx); err != nil {
		return err
	}
	if err := t.create(ctx, dump); err != nil {
		return fmt.Errorf("create database %s: %w", t.new, err)
	}
	_, err := output(ctx, t.environment(), "pg_restore", t.login.in(t.new).argument(), "--no-password",
		"--exit-on-error", "--no-tablespaces", fmt.Sprintf("--jobs=%d", jobs()), dump)
	return err
}

// name takes a name for the new database that no other has. Programs quote it as they quote the database's own, so that without the
// suffix their statements are the same.
func (t *Target) name(ctx context.Context) error {
	mark := make([]byte, markSize)
	_, _ = rand.Read(mark) // never fails, by its documentation
	t.mark = hex.EncodeToString(mark)
	t.suffix = restoring + t.mark
	quoted, err := t.quote(ctx, t.Database)
	if err != nil {
		return err
	}
	if quoted != t.Database {
		t.suffix = strings.ToUpper(t.suffix)
	}
	name := t.Database + t.suffix
	if more := len(name) - longestName; more > 0 {
		return fmt.Errorf("%w: the name of database %s is too long for one with %s beside it, by %d bytes", ErrRefused, t.Database, t.suffix, more)
	}
	t.new = name
	return nil
}

func (t *Target) quote(ctx context.Context, name string) (quoted string, err error) {
	return quoted, t.conn.QueryRow(ctx, `SELECT quote_ident($1)`, name).Scan(&quoted)
}

// ofDatabase are the entries of a dump's contents that make the database itself, with its owner, grants, settings and comment.
var ofDatabase = regexp.MustCompile(`(?m)^\d+; \d+ \d+ (DATABASE|DATABASE PROPERTIES|(ACL|COMMENT|SECURITY LABEL) - DATABASE) .*\n`)

// create makes an empty database that has everything else of the one in the dump. pg_restore itself would make it under its own name.
func (t *Target) create(ctx context.Context, dump string) error {
	contents, err := output(ctx, nil, "pg_restore", "--list", "--create", dump)
	if err != nil {
		return err
	}
	list := dump + ".list"
	var entries []byte
	for _, entry := range ofDatabase.FindAll(contents, -1) {
		entries = append(entries, entry...)
	}
	if err := os.WriteFile(list, entries, 0o600); err != nil {
		return err
	}
	statements, err := output(ctx, nil, "pg_restore", "--create", "--no-tablespaces", "--use-list="+list, "--file=-", dump)
	if err != nil {
		return err
	}
	old, err := t.quote(ctx, t.Database)
	if err != nil {
		return err
	}
	quoted, err := t.quote(ctx, t.new)
	if err != nil {
		return err
	}
	cmd, said := program(ctx, t.environment(), "psql", t.login.in(superuser).argument(), "--no-password", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
	cmd.Stdin = strings.NewReader(renamed(string(statements), old, quoted))
	return failure(ctx, cmd, said, cmd.Run())
}

// renamed gives the database in statements of pg_restore another name, both as they are quoted, and connects to none. Comments,
// texts and other names stay as they are.
func renamed(statements, from, to string) string {
	words := regexp.MustCompile(`(?m)^--.*$|^\\connect .*$|'[^']*'|DATABASE ` + regexp.QuoteMeta(from) + `[ ;]|"[^"]*"`)
	return words.ReplaceAllStringFunc(statements, func(word string) string {
		switch {
		case strings.HasPrefix(word, `\connect`):
			return ""
		case strings.HasPrefix(word, "DATABASE"):
			return "DATABASE " + to + word[len(word)-1:]
		}
		return word
	})
}

// environment lets programs restore quickly: should the server crash before Replace, the new database is of no use anyway.
func (t *Target) environment() []string {
	return append(t.login.environment(), "PGOPTIONS=-c role="+superuser+" -c synchronous_commit=off")
}

// Content is that of the new database.
func (t *Target) Content(ctx context.Context) (archive.Content, error) {
	l := t.login.in(t.new)
	return recordAlone(ctx, l.connect, t.suffix, t.environment(), l.argument(), "--no-password")
}
