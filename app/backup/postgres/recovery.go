package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// ErrNotReached says that the log ends before the time up to which it was to be replayed.
var ErrNotReached = errors.New("the log ends before that time")

// RecoverScratch starts a server in a new folder in the shared one, on the files that fetch leaves in a folder, and
// returns when the server has replayed its log as those files tell it. It gets the files of the log from
// segment, by their names, for it has none of the keys that this takes. It ends with ctx. If the log ends too
// early, the error is ErrNotReached and says when the last transaction was.
func RecoverScratch(ctx context.Context, shared string, fetch func(data string) error, segment Segments) (*ScratchServer,
	error) {
	c, err := newScratch(shared)
	if err != nil {
		return nil, err
	}
	if err := c.recover(ctx, fetch, segment); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

var (
	notReached      = regexp.MustCompile(`recovery ended before configured recovery target was reached`)
	lastTransaction = regexp.MustCompile(`last completed transaction was at log time ([-0-9]+ [0-9:.]+)`)
)

// Data is the server's data directory.
func (c *ScratchServer) Data() string { return dataOf(c.dir) }

func (c *ScratchServer) recover(ctx context.Context, fetch func(data string) error, segment Segments) error {
	if err := os.Mkdir(c.Data(), 0o700); err != nil {
		return err
	}
	if err := fetch(c.Data()); err != nil {
		return err
	}
	// What the server asks of its clients does not count here.
	hba := filepath.Join(c.dir, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte("local all all trust\n"), 0o600); err != nil {
		return err
	}
	var err error
	if c.log, err = serveLog(ctx, filepath.Join(c.dir, logSocket), c.Data(), segment); err != nil {
		return err
	}
	// With hot standby, the server would have to be as large as the one that wrote the log.
	parameters := []string{"hba_file=" + hba, "hot_standby=off", "archive_mode=off", "log_timezone=UTC",
		"log_min_messages=log"}
	var failure error
	for needs := []string(nil); ; {
		before := needs
		if needs, err = c.required(ctx); err != nil {
			return errors.Join(failure, err)
		}
		if slices.Equal(needs, before) {
			return failure
		}
		if failure = c.start(ctx, order{Parameters: append(parameters, needs...)}); failure == nil {
			return c.discardPrepared(ctx)
		}
		if said := failure.Error(); notReached.MatchString(said) {
			return asNotReached(said)
		}
	}
}

func asNotReached(said string) error {
	if last := lastTransaction.FindStringSubmatch(said); last != nil {
		return fmt.Errorf("%w: its last transaction was at %s UTC", ErrNotReached, last[1])
	}
	return ErrNotReached
}

var requirement = regexp.MustCompile(`(?m)^(max_prepared_xacts|max_locks_per_xact) setting: *(\d+)$`)

// required are the parameters that have to be as high as those of the server that wrote the log, which may
// have changed from one stretch of it to the next.
func (c *ScratchServer) required(ctx context.Context) (parameters []string, err error) {
	control, err := output(ctx, nil, "pg_controldata", c.Data())
	if err != nil {
		return nil, err
	}
	for _, parts := range requirement.FindAllSubmatch(control, -1) {
		number, err := strconv.Atoi(string(parts[2]))
		if err != nil {
			return nil, err
		}
		switch string(parts[1]) {
		case "max_prepared_xacts":
			parameters = append(parameters, fmt.Sprintf("max_prepared_transactions=%d", number))
		case "max_locks_per_xact":
			parameters = append(parameters, fmt.Sprintf("max_locks_per_transaction=%d", max(number, locks)))
		}
	}
	return parameters, nil
}

// discardPrepared rolls back transactions that were prepared, and not committed by then: their locks would
// keep others from reading what they changed.
func (c *ScratchServer) discardPrepared(ctx context.Context) error {
	conn, err := c.connect(ctx, superuser)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	type prepared struct{ Database, ID, Rollback string }
	const query = `SELECT database::text, gid, format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts`
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[prepared])
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := c.exec(ctx, p.Database, p.Rollback); err != nil {
			return fmt.Errorf("roll back prepared transaction %s: %w", p.ID, err)
		}
		slog.Warn("left out a transaction that was prepared, and not committed by then",
			"database", p.Database, "id", p.ID)
	}
	return nil
}

func (c *ScratchServer) exec(ctx context.Context, database, statement string) error {
	conn, err := c.connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// Unlogged names a database's unlogged tables, whose rows are not in the log.
func (c *ScratchServer) Unlogged(ctx context.Context, database string) ([]string, error) {
	conn, err := c.connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT n.nspname || '.' || c.relname
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'm') ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Has is whether the server has a whole database of that name, which may be empty. One that somebody was
// about to drop has none of its files any more, for they go before the transaction ends.
func (c *ScratchServer) Has(ctx context.Context, database string) (has bool, err error) {
	conn, err := c.connect(ctx, superuser)
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datconnlimit <> -2)`, database).Scan(&has)
	return has, err
}

// Reached is whether the server has replayed its log up to a place such as 0/3000000.
func (c *ScratchServer) Reached(ctx context.Context, place string) (reached bool, err error) {
	conn, err := c.connect(ctx, superuser)
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn() >= $1::text::pg_lsn`, place).Scan(&reached)
	return reached, err
}

// Dump writes a database into a file, in the custom format of pg_dump, and returns the server's version.
func (c *ScratchServer) Dump(ctx context.Context, database, file string) (server string, err error) {
	conn, err := c.connect(ctx, database)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if server, _, err = serverVersion(conn); err != nil {
		return "", err
	}
	_, err = output(ctx, c.environment(database), "pg_dump", "--format=custom", "--compress=zstd:1", "--file="+
		file)
	return server, err
}

// Check reads all tables and indexes of all databases, and fails if one is damaged.
func (c *ScratchServer) Check(ctx context.Context) error {
	_, err := output(ctx, c.environment(superuser), "pg_amcheck", "--all", "--install-missing",
		"--heapallindexed")
	return err
}
