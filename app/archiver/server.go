package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"

	"github.com/jackc/pgx/v5"
)

// hasRows tells whether a table in the server's databases has rows, or had some until lately. The table in
// which goose records an app's migrations does not count: the app fills it immediately in the empty database
// of a lost volume.
func hasRows(ctx context.Context) (has bool, err error) {
	names, err := query[[]string](ctx, "postgres", `SELECT coalesce(array_agg(datname::text), '{}')
		FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND datname NOT IN ('postgres', 'template1')`)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		const nonEmpty = `SELECT EXISTS (
			SELECT FROM pg_class WHERE oid >= 16384 AND relkind = 'r' AND pg_relation_size(oid) > 0
			AND relname <> 'goose_db_version')`
		if has, err = query[bool](ctx, name, nonEmpty); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// query returns the only value that a statement returns in a database of the server that libpq's variables
// name.
func query[T any](ctx context.Context, database, sql string) (value T, err error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return value, err
	}
	config.Database = database
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return value, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, sql).Scan(&value)
	return value, err
}

var (
	identifierLine = regexp.MustCompile(`(?m)^Database system identifier: *(\d+)$`)
	stoppingLine   = regexp.MustCompile(`(?m)^Database cluster state: *(shutting down|shut down)$`)
)

// controlData is what pg_controldata prints about a server.
type controlData struct {
	// system is the identifier that the server got when its data directory was made.
	system   string
	stopping bool
	// archiveNumber is set if the server was set back to an earlier state and began another archive.
	archiveNumber string
}

// identity is what the name of its stanza is made of.
func (c controlData) identity() string {
	if c.archiveNumber == "" {
		return c.system
	}
	return c.system + "-" + c.archiveNumber
}

func readControlData(ctx context.Context) (controlData, error) {
	cmd := exec.CommandContext(ctx, "pg_controldata")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return controlData{}, fmt.Errorf("pg_controldata: %w: %s", err, out)
	}
	line := identifierLine.FindSubmatch(out)
	if line == nil {
		return controlData{}, errors.New("pg_controldata prints no system identifier")
	}
	c := controlData{system: string(line[1]), stopping: stoppingLine.Match(out)}
	c.archiveNumber, err = readArchiveNumber()
	return c, err
}
