package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// database is a database of the Postgres pod in a namespace.
type database struct{ namespace, name string }

// inPostgres runs a command in the pod of Postgres, as its superuser.
func (d database) inPostgres(ctx context.Context, args ...string) (string, error) {
	return kubectl(ctx, d.namespace, nil,
		append([]string{"exec", "postgres-ss-0", "--container", "postgres", "--"}, args...)...)
}

func (d database) sql(ctx context.Context, statement string) (string, error) {
	return d.inPostgres(ctx, "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set",
		"ON_ERROR_STOP=1", "--dbname", d.name, "--command", statement)
}

func (d database) sqlNumber(ctx context.Context, statement string) (int64, error) {
	text, err := d.sql(ctx, statement)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// settings returns the settings that decide what a commit costs.
func (d database) settings(ctx context.Context) (string, error) {
	return d.sql(ctx, `SELECT string_agg(name || ' ' || setting, ', ' ORDER BY name)
		FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')`)
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// pgbench runs a script in clients, each on its own connection, and returns the runs per second.
func (d database) pgbench(ctx context.Context, clients int, script string) (float64, error) {
	command := fmt.Sprintf("pgbench --no-vacuum --protocol=prepared --client=%d --jobs=%d --time=%d "+
		"--file=/dev/stdin %s <<'SQL'\n%s\nSQL\n", clients, min(clients, 2), int(duration.Seconds()), d.name,
		script)
	out, err := d.inPostgres(ctx, "sh", "-c", command)
	if err != nil {
		return 0, err
	}
	match := tps.FindStringSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("pgbench says no tps:\n%s", out)
	}
	return strconv.ParseFloat(match[1], 64)
}
