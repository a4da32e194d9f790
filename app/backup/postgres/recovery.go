package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// ErrNotReached says that the log ends before the time up to which it was to be replayed.
var ErrNotReached = errors.New("the log ends before that time")

// Recover starts a server in a new folder in the shared one, on the files that fetch leaves in a folder, and returns when the
// server has replayed its log as those files tell it. It gets the files of the log from segment, by their names, for it has none
// of the keys that this takes. It ends with ctx. If the log ends too early, the error is ErrNotReached and says when the last
// transaction was.
func Recover(ctx context.Context, shared string, fetch func(data string) error, segment Segments) (*Copy, error) {
	c, err := newCopy(shared)
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
func (c *Copy) Data() string { return dataOf(c.dir) }

func (c *Copy) recover(ctx context.Context, fetch func(data string) error, segment Segments) error {
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
	parameters := []string{"hba_file=" + hba, "hot_standby=off", "archive_mode=off", "log_timezone=UTC", "log_min_messages=log"}
	err = c.start(ctx, order{Parameters: parameters})
	if err == nil || !notReached.MatchString(err.Error()) {
		return err
	}
	if last := lastTransaction.FindStringSubmatch(err.Error()); last != nil {
		return fmt.Errorf("%w: its last transaction was at %s UTC", ErrNotReached, last[1])
	}
	return ErrNotReached
}

// Has is whether the server has a whole database of that name, which may be empty. One that somebody was about to drop has none of
// its files any more, for they go before the transaction ends.
func (c *Copy) Has(ctx context.Context, database string) (has bool, err error) {
	conn, err := c.connect(ctx, superuser)
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datconnlimit <> -2)`, database).Scan(&has)
	return has, err
}

// Reached is whether the server has replayed its log up to a place such as 0/3000000.
func (c *Copy) Reached(ctx context.Context, place string) (reached bool, err error) {
	conn, err := c.connect(ctx, superuser)
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn() >= $1::text::pg_lsn`, place).Scan(&reached)
	return reached, err
}

// Dump writes a database into a file, in the custom format of pg_dump, and returns the server's version.
func (c *Copy) Dump(ctx context.Context, database, file string) (server string, err error) {
	conn, err := c.connect(ctx, database)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if server, _, err = serverVersion(conn); err != nil {
		return "", err
	}
	_, err = output(ctx, c.environment(database), "pg_dump", "--format=custom", "--compress=zstd:1", "--file="+file)
	return server, err
}

// Check reads all tables and indexes of all databases, and fails if one is damaged.
func (c *Copy) Check(ctx context.Context) error {
	_, err := output(ctx, c.environment(superuser), "pg_amcheck", "--all", "--install-missing", "--heapallindexed")
	return err
}
