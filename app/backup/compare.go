package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
)

var errDiffers = errors.New("the restored copy differs from the database")

// restoreScratch reads a stored dump, restores it into a scratch server, and returns what is then in there.
func (c config) restoreScratch(
	ctx context.Context, m manifest.Manifest, identities []age.Identity,
) (content manifest.Content, err error) {
	start := time.Now()
	server, err := postgres.StartScratch(ctx, c.serverDir)
	if err != nil {
		return content, fmt.Errorf("start the throwaway server: %w", err)
	}
	defer closeScratch(server, &err)
	err = c.readBack(ctx, m, func(stored io.Reader) error {
		dump, err := decrypt(stored, m, identities)
		if err != nil {
			return err
		}
		return server.Restore(ctx, m.Content.Roles, dump)
	})
	if err != nil {
		return content, fmt.Errorf("restore the dump: %w", err)
	}
	slog.Info("restored", "backup", m.Name, "in", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	if content, err = server.Content(ctx, m.Database); err != nil {
		return content, fmt.Errorf("record the restored copy: %w", err)
	}
	slog.Info("recorded the copy", "backup", m.Name, "in", time.Since(start).Round(time.Millisecond))
	return content, nil
}

// closeScratch removes a scratch server, and adds an error of that to err.
func closeScratch(server *postgres.ScratchServer, err *error) {
	if closeErr := server.Close(); closeErr != nil {
		*err = errors.Join(*err, fmt.Errorf("remove the throwaway server: %w", closeErr))
	}
}

// compare fails unless a restored database equals what the manifest records. The manifest then describes the
// restored one, which may write the same schema in other words, and have other values in generated columns.
func (c config) compare(ctx context.Context, m *manifest.Manifest, restored manifest.Content) error {
	differsInSchemaAlone := m.Content.Schema != restored.Schema &&
		len(m.Content.WithSchemaOf(restored).Differences(restored)) == 0
	if differsInSchemaAlone && m.Content.Definition != nil {
		// A server may print an expression in other words once it has parsed it: x IN ('a') of a varchar column
		// gets its casts in another place. So compare both in the words of a server that has parsed them once.
		reparsed, err := c.reparseSchema(ctx, *m, bytes.NewReader(m.Content.Definition))
		if err != nil {
			return fmt.Errorf("restore the schema to compare it: %w", err)
		}
		m.Content = m.Content.WithSchemaOf(reparsed)
	}
	if differences := m.Content.Differences(restored); len(differences) > 0 {
		const most = 10
		if more := len(differences) - most; more > 0 {
			differences = append(differences[:most], fmt.Sprintf("and %d more", more))
		}
		return fmt.Errorf("compare: %w: %s", errDiffers, strings.Join(differences, ", "))
	}
	for _, table := range m.Content.RecomputedTables(restored) {
		slog.Warn("a restore gives generated columns other values, for a function was changed since rows were written",
			"table", table.Schema+"."+table.Name, "columns", strings.Join(table.Generated, ", "))
	}
	m.Content = restored
	return nil
}

// reparseSchema returns what a scratch server makes of the schema in a dump.
func (c config) reparseSchema(
	ctx context.Context, m manifest.Manifest, dump io.Reader,
) (content manifest.Content, err error) {
	server, err := postgres.StartScratch(ctx, c.serverDir)
	if err != nil {
		return content, err
	}
	defer closeScratch(server, &err)
	if err := server.Restore(ctx, m.Content.Roles, dump, "--schema-only"); err != nil {
		return content, err
	}
	return server.Content(ctx, m.Database)
}
