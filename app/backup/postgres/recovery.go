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
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrNotReached says that the log ends before the time to replay it to.
var ErrNotReached = errors.New("the log ends before that time")

// RecoverScratch starts a server in a new folder in the shared one, on the files that fetch writes into a
// data directory. It returns when the server has replayed its log as those files say, and fails with
// ErrNotReached if the log ends too early. The server has none of the keys to fetch its log, and gets it from
// read. It ends with ctx.
func RecoverScratch(
	ctx context.Context, shared string, fetch func(data string) error, read SegmentReader,
) (*ScratchServer, error) {
	s, err := newScratch(shared)
	if err != nil {
		return nil, err
	}
	if err := s.recover(ctx, fetch, read); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

var (
	notReached      = regexp.MustCompile(`recovery ended before configured recovery target was reached`)
	lastTransaction = regexp.MustCompile(`last completed transaction was at log time ([-0-9]+ [0-9:.]+)`)
)

// Data is the server's data directory.
func (s *ScratchServer) Data() string { return dataDir(s.dir) }

func (s *ScratchServer) recover(ctx context.Context, fetch func(data string) error,
	read SegmentReader) error {
	if err := os.Mkdir(s.Data(), 0o700); err != nil {
		return err
	}
	if err := fetch(s.Data()); err != nil {
		return err
	}
	if err := s.checkVersion(ctx); err != nil {
		return err
	}
	// The server's own rules for clients do not apply here.
	hba := filepath.Join(s.dir, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte("local all all trust\n"), 0o600); err != nil {
		return err
	}
	var err error
	if s.segments, err = serveSegments(ctx, filepath.Join(s.dir, segmentSocket), s.Data(), read); err != nil {
		return err
	}
	// Hot standby would need as much memory for connections as the archived server had.
	parameters := []string{"hba_file=" + hba, "hot_standby=off", "archive_mode=off", "log_timezone=UTC",
		"log_min_messages=log"}
	var failure error
	for required := []string(nil); ; {
		before := required
		if required, err = s.requiredParameters(ctx); err != nil {
			return errors.Join(failure, err)
		}
		if slices.Equal(required, before) {
			return failure
		}
		failure = s.start(ctx, startRequest{Parameters: append(parameters, required...)})
		if unread := s.segments.failure.Load(); unread != nil {
			return *unread
		}
		if failure == nil {
			return s.discardPrepared(ctx)
		}
		if message := failure.Error(); notReached.MatchString(message) {
			if last := lastTransaction.FindStringSubmatch(message); last != nil {
				return fmt.Errorf("%w: its last transaction was at %s UTC", ErrNotReached, last[1])
			}
			return ErrNotReached
		}
	}
}

// checkVersion refuses files of another major version, which no server of this one reads.
func (s *ScratchServer) checkVersion(ctx context.Context) error {
	version, err := os.ReadFile(filepath.Join(s.Data(), "PG_VERSION"))
	if err != nil {
		return err
	}
	_, major, err := ClientVersion(ctx)
	if is := strings.TrimSpace(string(version)); err == nil && is != strconv.Itoa(major) {
		err = fmt.Errorf("%w: it is of PostgreSQL %s, and this image has PostgreSQL %d: restore it into a new "+
			"database of PostgreSQL %[2]s, as docs/bad-day.md says", ErrPermanent, is, major)
	}
	return err
}

var requirement = regexp.MustCompile(`(?m)^(max_prepared_xacts|max_locks_per_xact) setting: *(\d+)$`)

// requiredParameters must be as high as on the archived server, which may have raised them while it wrote the
// log.
func (s *ScratchServer) requiredParameters(ctx context.Context) (parameters []string, err error) {
	control, err := output(ctx, nil, "pg_controldata", s.Data())
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
			parameters = append(parameters, fmt.Sprintf("max_locks_per_transaction=%d", max(number, maxLocks)))
		}
	}
	return parameters, nil
}

// discardPrepared rolls back prepared transactions that were not committed by then. Their locks would keep
// others from reading what they changed.
func (s *ScratchServer) discardPrepared(ctx context.Context) error {
	type prepared struct{ Database, ID, Rollback string }
	const sql = `SELECT database::text, gid, format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts`
	all, err := queryScratch(ctx, s, superuser, pgx.RowToStructByPos[prepared], sql)
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := s.exec(ctx, p.Database, p.Rollback); err != nil {
			return fmt.Errorf("roll back prepared transaction %s: %w", p.ID, err)
		}
		slog.Warn("left out a transaction that was prepared, and not committed by then",
			"database", p.Database, "id", p.ID)
	}
	return nil
}

func (s *ScratchServer) exec(ctx context.Context, database, statement string) error {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// queryScratch collects the rows of a query in a database of a server.
func queryScratch[T any](ctx context.Context, s *ScratchServer, database string, scan pgx.RowToFunc[T],
	sql string, args ...any) ([]T, error) {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	return query(ctx, conn, scan, sql, args...)
}

// Unlogged names a database's unlogged tables. Their rows are not in the log.
func (s *ScratchServer) Unlogged(ctx context.Context, database string) ([]string, error) {
	return queryScratch(ctx, s, database, pgx.RowTo[string], `SELECT n.nspname || '.' || c.relname
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'm') ORDER BY 1`)
}

// Has tells whether the server has a database, and it is whole. A DROP DATABASE removes the files before its
// transaction ends, and marks the database with that connection limit.
func (s *ScratchServer) Has(ctx context.Context, database string) (bool, error) {
	found, err := queryScratch(ctx, s, superuser, pgx.RowTo[string],
		`SELECT datname::text FROM pg_database WHERE datname = $1 AND datconnlimit <> -2`, database)
	return len(found) > 0, err
}

// Reached tells whether the server has replayed its log up to a position such as 0/3000000.
func (s *ScratchServer) Reached(ctx context.Context, lsn string) (bool, error) {
	reached, err := queryScratch(ctx, s, superuser, pgx.RowTo[bool],
		`SELECT pg_current_wal_insert_lsn() >= $1::text::pg_lsn`, lsn)
	return err == nil && reached[0], err
}

// Dump writes a database into a file, in the custom format of pg_dump, and returns the server's version.
func (s *ScratchServer) Dump(ctx context.Context, database, file string) (version string, err error) {
	conn, err := s.connect(ctx, database)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if version, _, err = serverVersion(conn); err != nil {
		return "", err
	}
	_, err = output(ctx, s.environment(database),
		"pg_dump", "--format=custom", "--compress=zstd:1", "--file="+file)
	return version, err
}

// Check reads all tables and indexes of all databases, and fails if one is damaged.
func (s *ScratchServer) Check(ctx context.Context) error {
	_, err := output(ctx, s.environment(superuser),
		"pg_amcheck", "--all", "--install-missing", "--heapallindexed")
	return err
}
