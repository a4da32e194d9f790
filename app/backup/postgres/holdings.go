package postgres

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"
)

// Holdings is what a database holds.
type Holdings struct {
	// What describes it, such as "2 tables with 1,234 rows"; empty if there is nothing.
	What string
	Rows int64
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
	for _, r := range tables {
		var rows int64
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM ("+r.rows+")").Scan(&rows); err != nil {
			return h, fmt.Errorf("count the rows of table %s.%s: %w", r.schema, r.name, err)
		}
		h.Rows += rows
	}
	var others int64
	if err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM (SELECT`+userRelations+`)) + (SELECT count(*)
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend d
			WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))`, "pvmSf").Scan(&others); err != nil {
		return h, fmt.Errorf("list sequences, views and functions: %w", err)
	}
	switch {
	case len(tables) > 0:
		h.What = fmt.Sprintf("%d tables with %s rows", len(tables), humanize.Comma(h.Rows))
	case others > 0:
		h.What = fmt.Sprintf("%d sequences, views or functions", others)
	}
	return h, nil
}
