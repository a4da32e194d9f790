package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

// maxName is the longest name that Postgres keeps, in bytes.
const maxName = 63

// Restore makes the new database from a dump in a file. Code of the database's owner, such as a function in a
// CHECK, runs as a role that can do nothing outside of this database. A superuser makes only objects that
// need one and run no code, and then sets the owners.
func (t *Target) Restore(ctx context.Context, dump string) error {
	if err := t.chooseName(ctx); err != nil {
		return err
	}
	contents, err := output(ctx, nil, "pg_restore", "--list", "--create", dump)
	if err != nil {
		return err
	}
	b := &builder{Target: t, dump: dump}
	if err := b.build(ctx, string(contents)); err != nil {
		return fmt.Errorf("database %s: %w", t.new, markPermanent(err))
	}
	return nil
}

// chooseName chooses a unique name for the new database. Programs quote it if they quote the database's own
// name, so their statements are the same without the suffix.
func (t *Target) chooseName(ctx context.Context) error {
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
	if more := len(name) - maxName; more > 0 {
		return fmt.Errorf("%w: the name of database %s is too long for one with %s beside it, by %d bytes",
			ErrPermanent, t.Database, t.suffix, more)
	}
	t.new = name
	return nil
}

func (t *Target) quote(ctx context.Context, name string) (quoted string, err error) {
	return quoted, t.conn.QueryRow(ctx, `SELECT quote_ident($1)`, name).Scan(&quoted)
}

// renameDatabase replaces the quoted name of the database in statements of pg_restore, and removes \connect.
// Comments, texts and other names stay as they are.
func renameDatabase(statements, from, to string) string {
	words := regexp.MustCompile(`(?m)^--.*$|^\\connect .*$|'[^']*'|DATABASE ` + regexp.QuoteMeta(from) +
		`[ ;]|"[^"]*"`)
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

// environment lets programs restore quickly, as a superuser who fires no event triggers. Before Replace, the
// new database need not survive a crash.
func (t *Target) environment() []string {
	return withParameters(t.login.environment(), map[string]string{
		"role": superuser, "event_triggers": "off", "default_transaction_read_only": "off",
		"synchronous_commit": "off",
	})
}

// Content returns the content of the new database.
func (t *Target) Content(ctx context.Context) (manifest.Content, error) {
	l := t.login.to(t.new)
	return readExclusive(ctx, l.connect, t.suffix, t.environment(), l.argument(), "--no-password")
}
