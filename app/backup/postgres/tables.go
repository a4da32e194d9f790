package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

// relation is a table.
type relation struct {
	oid          uint32
	schema, name string
	// rows reads all columns, given all but the generated ones; it is empty without generated columns.
	rows, given string
	generated   []string
	// roleColumns hold roles.
	roleColumns []string
	// root is the schema and the name of the partitioned table if a restore may move rows between its
	// partitions; empty otherwise.
	root []string
}

func (r relation) quoted() string { return pgx.Identifier{r.schema, r.name}.Sanitize() }

// movingRoot is the root of a partition by a hash of an enum: its values have other OIDs in each database.
const movingRoot = `coalesce((SELECT ARRAY[rn.nspname::text, rc.relname::text]
	FROM pg_class rc JOIN pg_namespace rn ON rn.oid = rc.relnamespace
	WHERE rc.oid = pg_partition_root(c.oid) AND EXISTS (
		SELECT FROM pg_partition_ancestors(c.oid) a JOIN pg_partitioned_table p ON p.partrelid = a.relid
		JOIN pg_opclass o ON o.oid = ANY (p.partclass)
		WHERE p.partstrat = 'h' AND o.opcintype = 'anyenum'::regtype)), '{}')`

func listTables(ctx context.Context, conn *pgx.Conn) ([]relation, error) {
	const columns = `SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped`
	return query(ctx, conn, func(row pgx.CollectableRow) (r relation, err error) {
		var columns []string
		err = row.Scan(&r.oid, &r.schema, &r.name, &columns, &r.generated, &r.roleColumns, &r.root)
		r.rows = r.selecting(columns)
		if len(r.generated) > 0 {
			isGenerated := func(column string) bool { return slices.Contains(r.generated, column) }
			r.given = r.selecting(slices.DeleteFunc(columns, isGenerated))
		}
		return r, err
	}, `SELECT c.oid, n.nspname, c.relname, array(`+columns+` ORDER BY a.attname),
		array(`+columns+` AND a.attgenerated <> '' ORDER BY a.attname),
		array(`+columns+` AND 'regrole'::regtype IN (t.oid, t.typelem, t.typbasetype) ORDER BY a.attname), `+
		movingRoot+userRelations, "r")
}

func (r relation) selecting(columns []string) string {
	var quoted []string
	for _, column := range columns {
		quoted = append(quoted, pgx.Identifier{column}.Sanitize())
	}
	return "SELECT " + strings.Join(quoted, ", ") + " FROM ONLY " + r.quoted()
}

// hashTables counts and hashes the rows of all tables.
func hashTables(ctx context.Context, conns []*pgx.Conn, relations []relation) ([]manifest.Table, error) {
	parts := make([][]*part, len(relations))
	for i, r := range relations {
		var err error
		if parts[i], err = r.parts(ctx, conns[0]); err != nil {
			return nil, fmt.Errorf("measure table %s.%s: %w", r.schema, r.name, err)
		}
	}
	if err := hashParts(ctx, conns, slices.Concat(parts...)); err != nil {
		return nil, err
	}
	type sum struct {
		manifest.Table
		all, given manifest.RowHash
	}
	sums := map[[2]string]*sum{}
	for i, r := range relations {
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
			if p.query == r.rows {
				s.all.Add(p.hash)
			} else {
				s.given.Add(p.hash)
			}
		}
	}
	tables := []manifest.Table{}
	byName := func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }
	for _, name := range slices.SortedFunc(maps.Keys(sums), byName) {
		s := sums[name]
		s.Rows, s.Hash = s.all.Rows(), s.all.String()
		if len(s.Generated) > 0 {
			s.Given = s.given.String()
		}
		tables = append(tables, s.Table)
	}
	return tables, nil
}

// partSize is about how much of a table one query reads, in bytes.
const partSize = 64 << 20

// part is a range of a table's blocks, and the hash of the rows that the query reads in them.
type part struct {
	relation
	query      string
	first, end int64
	hash       manifest.RowHash
}

// parts cover the table. Blocks that it grows by meanwhile have no rows that the snapshot sees.
func (r relation) parts(ctx context.Context, conn *pgx.Conn) ([]*part, error) {
	var blocks, size int64
	if err := conn.QueryRow(ctx, `SELECT pg_relation_size($1::oid) / current_setting('block_size')::bigint,
		pg_table_size($1::oid)`, r.oid).Scan(&blocks, &size); err != nil {
		return nil, err
	}
	count := 1 + size/partSize
	var parts []*part
	for i := range count {
		first, end := blocks*i/count, blocks*(i+1)/count
		parts = append(parts, &part{relation: r, query: r.rows, first: first, end: end})
		if r.given != "" {
			parts = append(parts, &part{relation: r, query: r.given, first: first, end: end})
		}
	}
	return parts, nil
}

// hashParts distributes the parts over the connections.
func hashParts(ctx context.Context, conns []*pgx.Conn, parts []*part) error {
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
				rows := fmt.Sprintf("%s WHERE ctid >= '(%d,0)' AND ctid < '(%d,0)'", p.query, p.first, p.end)
				if _, err := conn.PgConn().CopyTo(ctx, &p.hash, "COPY ("+rows+") TO STDOUT"); err != nil {
					return fmt.Errorf("read table %s.%s: %w", p.schema, p.name, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}
