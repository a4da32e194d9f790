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

// wasSetBack tells whether the archive has log that this server lacks, or has with other content.
func wasSetBack(ctx context.Context, own pgbackrest.Stanza) (bool, error) {
	now, err := query[string](ctx, "postgres", `SELECT pg_walfile_name(pg_current_wal_insert_lsn())`)
	if err != nil {
		return false, err
	}
	const timeline = len("00000001")
	for _, segment := range own.Segments {
		if segment.Name[:timeline] == now[:timeline] && segment.Name > now {
			return true, nil
		}
	}
	failed, err := query[string](ctx, "postgres",
		`SELECT coalesce(last_failed_wal, '') FROM pg_stat_archiver`)
	if err != nil || failed == "" {
		return false, err
	}
	isDifferent, err := own.HasDifferent(filepath.Join(os.Getenv("PGDATA"), "pg_wal", failed))
	if errors.Is(err, fs.ErrNotExist) { // it was archived in the end
		return false, nil
	}
	return isDifferent, err
}

// beginAnother makes another stanza for a server that was set back. The server archives there from now on.
func beginAnother(
	ctx context.Context, archive *pgbackrest.Archive, c controlData, stanzas []pgbackrest.Stanza,
) (name string, err error) {
	isTaken := func(s pgbackrest.Stanza) bool { return s.Name == name }
	for next := 2; ; next++ {
		c.archiveNumber = strconv.Itoa(next)
		if name = archive.StanzaName(c.identity()); !slices.ContainsFunc(stanzas, isTaken) {
			break
		}
	}
	if err := archive.Create(ctx, name); err != nil {
		return "", err
	}
	return name, writeArchiveNumber(ctx, c.archiveNumber)
}

// writeArchiveNumber makes the server write the number beside its data, which this process may only read.
func writeArchiveNumber(ctx context.Context, number string) error {
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, fmt.Sprintf("COPY (SELECT %s) TO '%s'", number, archiveNumberFile()))
	return err
}

// archiveNumberFile means nothing to the server. It is set back together with the data.
func archiveNumberFile() string { return filepath.Join(os.Getenv("PGDATA"), "archiver.stretch") }

var numberLine = regexp.MustCompile(`^(\d+)\n$`)

// readArchiveNumber returns what writeArchiveNumber wrote; empty if it wrote nothing.
func readArchiveNumber() (string, error) {
	content, err := os.ReadFile(archiveNumberFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if line := numberLine.FindSubmatch(content); line != nil {
		return string(line[1]), nil
	}
	return "", nil
}
