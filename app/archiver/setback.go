package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
)

// isSetBack is whether the archive holds log that this server does not have, or has with another content.
func isSetBack(ctx context.Context, own pgbackrest.Stanza) (bool, error) {
	now, err := ask[string](ctx, "postgres", `SELECT pg_walfile_name(pg_current_wal_insert_lsn())`)
	if err != nil {
		return false, err
	}
	const timeline = len("00000001")
	for _, segment := range own.Segments {
		if segment.Name[:timeline] == now[:timeline] && segment.Name > now {
			return true, nil
		}
	}
	failed, err := ask[string](ctx, "postgres", `SELECT coalesce(last_failed_wal, '') FROM pg_stat_archiver`)
	if err != nil || failed == "" {
		return false, err
	}
	isOther, err := own.HasDifferent(filepath.Join(os.Getenv("PGDATA"), "pg_wal", failed))
	if errors.Is(err, fs.ErrNotExist) { // it was archived in the end
		return false, nil
	}
	return isOther, err
}

// beginAnother makes a new stanza for a server that was set back, and has the server archive to it.
func beginAnother(
	ctx context.Context, archive *pgbackrest.Archive, c control, stanzas []pgbackrest.Stanza,
) (name string, err error) {
	isTaken := func(s pgbackrest.Stanza) bool { return s.Name == name }
	for next := 2; ; next++ {
		c.stretch = strconv.Itoa(next)
		if name = archive.Stanza(c.identity()); !slices.ContainsFunc(stanzas, isTaken) {
			break
		}
	}
	if err := archive.Create(ctx, name); err != nil {
		return "", err
	}
	return name, keepStretch(ctx, c.stretch)
}

// keepStretch has the server write the number beside its data, where this process may only read.
func keepStretch(ctx context.Context, stretch string) error {
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, fmt.Sprintf("COPY (SELECT %s) TO '%s'", stretch, stretchFile()))
	return err
}

// stretchFile is nothing that the server knows. Whoever sets its data back sets this back too.
func stretchFile() string { return filepath.Join(os.Getenv("PGDATA"), "archiver.stretch") }

var stretchLine = regexp.MustCompile(`^(\d+)\n$`)

// readStretch returns the number that keepStretch left, empty if there is none.
func readStretch() (string, error) {
	content, err := os.ReadFile(stretchFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if line := stretchLine.FindSubmatch(content); line != nil {
		return string(line[1]), nil
	}
	return "", nil
}
