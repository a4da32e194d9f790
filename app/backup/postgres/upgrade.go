package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// rowTypes are the types that contain the row type of a table or view of users.
const rowTypes = `WITH RECURSIVE row_type(type, relation) AS (
	SELECT oid, typrelid FROM pg_catalog.pg_type WHERE typrelid >= 16384
UNION
	SELECT t.oid, r.relation FROM pg_catalog.pg_type t
	LEFT JOIN pg_catalog.pg_range g ON g.rngtypid = t.oid
	JOIN row_type r ON r.type IN (t.typelem, t.typbasetype, g.rngsubtype)
), used AS (
	SELECT DISTINCT r.relation, a.attrelid::regclass || '.' || quote_ident(a.attname) AS by
	FROM row_type r JOIN pg_catalog.pg_attribute a ON a.atttypid = r.type
	WHERE a.attnum > 0 AND NOT a.attisdropped
), versioned AS (
	SELECT attrelid AS relation, attnum, attoptions FROM pg_catalog.pg_attribute
	WHERE attrelid >= 16384 AND attoptions::text LIKE '%pg_attver=%'
)`

const forgetVersions = rowTypes + `
UPDATE pg_catalog.pg_attribute a SET attoptions = NULLIF(ARRAY(
	SELECT option FROM unnest(v.attoptions) option WHERE option NOT LIKE 'pg\_attver=%'), '{}')
FROM versioned v
WHERE a.attrelid = v.relation AND a.attnum = v.attnum AND v.relation NOT IN (SELECT relation FROM used)`

const usedVersions = rowTypes + `
SELECT DISTINCT u.by || ' of type ' || u.relation::regclass FROM used u JOIN versioned USING (relation)
ORDER BY 1`

// PrepareUpgrade makes the database at a URL one that pg_upgrade takes, as a superuser. PostgreSQL 17.12
// notes in pg_attver, an option of each column, when it changed. Values of the table's row type are checked
// against that. The pg_dump of 18.6 passes the option on, and no server of 18 knows it. Where no column has
// such values, the option is removed. The error is an ErrPermanent if some have.
func PrepareUpgrade(ctx context.Context, address string) error {
	login, err := parseLogin(address)
	if err != nil {
		return err
	}
	login.config.RuntimeParams["default_transaction_read_only"] = "off"
	login.config.RuntimeParams["event_triggers"] = "off"
	conn, err := login.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, forgetVersions); err != nil {
		return fmt.Errorf("remove the option pg_attver: %w", err)
	}
	rows, err := conn.Query(ctx, usedVersions)
	if err != nil {
		return err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil && len(columns) > 0 {
		err = fmt.Errorf("%w: pg_upgrade can't take tables whose rows are values of columns (%s): change these "+
			"columns first, or restore a backup into a new database of the new version", ErrPermanent,
			strings.Join(columns, ", "))
	}
	return err
}
