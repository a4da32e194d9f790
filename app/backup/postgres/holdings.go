package postgres

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

// Holdings is what a database holds.
type Holdings struct {
	// What describes it, such as "2 tables with 1,234 rows"; empty if there is nothing.
	What string
	Rows int64
	// Unused says that an app has migrated the database and nothing else has rows. An app does that immediately
	// in the empty database of a lost volume.
	Unused bool
}

// Holdings returns what is in the database.
func (t *Target) Holdings(ctx context.Context) (h Holdings, err error) {
	conn, err := t.login.connect(ctx)
	if err != nil {
		return h, err
	}
	defer conn.Close(ctx)
	tables, err := listTables(ctx, conn)
	if err != nil {
		return h, fmt.Errorf("list tables: %w", err)
	}
	var migrated bool
	var migrationRows int64
	for _, r := range tables {
		var rows int64
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM ("+r.rows+")").Scan(&rows); err != nil {
			return h, fmt.Errorf("count the rows of table %s.%s: %w", r.schema, r.name, err)
		}
		h.Rows += rows
		if r.schema+"."+r.name == manifest.Migrations {
			migrated, migrationRows = true, rows
		}
	}
	// Neither rows of foreign tables and materialized views nor large objects would be in a backup.
	var others, unsaved, largeObjects int64
	if err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM (SELECT`+userRelations+`)) + (SELECT count(*)
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend d
			WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')),
		(SELECT count(*) FROM pg_class WHERE relkind IN ('m', 'f')),
		(SELECT count(*) FROM pg_largeobject_metadata)`, "pvmSf").Scan(&others, &unsaved,
		&largeObjects); err != nil {
		return h, fmt.Errorf("list sequences, views, functions and large objects: %w", err)
	}
	switch {
	case largeObjects > 0:
		h.What = fmt.Sprintf("%d tables with %s rows, and %d large objects", len(tables), humanize.Comma(h.Rows),
			largeObjects)
	case len(tables) > 0:
		h.What = fmt.Sprintf("%d tables with %s rows", len(tables), humanize.Comma(h.Rows))
	case others > 0:
		h.What = fmt.Sprintf("%d sequences, views or functions", others)
	}
	h.Unused = migrated && h.Rows == migrationRows && unsaved == 0 && largeObjects == 0
	return h, nil
}
