package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
)

// verifyArchive verifies the newest archive, or with --all each of them. It returns what it verified.
func (v verification) verifyArchive(ctx context.Context, c config) (verified []string, err error) {
	stanzas, err := c.archive.Stanzas(ctx)
	if err != nil {
		return nil, fmt.Errorf("look into the archive: %w", err)
	}
	stanzas = slices.DeleteFunc(stanzas, func(s pgbackrest.Stanza) bool {
		incomplete := errors.Is(s.Unreadable, pgbackrest.ErrIncomplete)
		if incomplete {
			slog.Warn("not verified, for nothing can be restored from it", "archive", s.Name, "error", s.Unreadable)
		}
		return incomplete
	})
	slices.SortFunc(stanzas, func(a, b pgbackrest.Stanza) int { return b.Changed.Compare(a.Changed) })
	if !v.all && len(stanzas) > 1 {
		stanzas = stanzas[:1]
	}
	var failures []error
	for _, s := range stanzas {
		verified = append(verified, "archive "+s.Name)
		if s.IsAfterRollback() {
			slog.Warn("the server was set back to an earlier state of its volume: "+
				"what it had archived after that is in another archive", "archive", s.Name)
		}
		if err := v.verifyStanza(ctx, c, s); err != nil {
			slog.Error("not verified", "archive", s.Name, "error", err)
			failures = append(failures, fmt.Errorf("archive %s: %w", s.Name, err))
		}
	}
	return verified, errors.Join(failures...)
}

// verifyStanza restores the newest base backup, replays all log since, and checks all tables and indexes.
func (v verification) verifyStanza(ctx context.Context, c config, s pgbackrest.Stanza) error {
	spans := s.Spans()
	switch {
	case s.Unreadable != nil:
		return s.Unreadable
	case len(spans) == 0:
		return errors.New("it holds no base backup")
	case v.checksums:
		return c.archive.Verify(ctx, s.Name)
	}
	newest := spans[len(spans)-1]
	if newest.Gap != "" {
		return fmt.Errorf("segment %s of the log is missing", newest.Gap)
	}
	server, err := c.recoverSpan(ctx, newest, time.Time{})
	if err != nil {
		return fmt.Errorf("restore base backup %s and replay the log: %w", newest.Backup.Label, err)
	}
	return errors.Join(server.Check(ctx), server.Close())
}
