package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
)

var errDamaged = fmt.Errorf("the stored dump is %w", s3.ErrDamaged)

// restoreCopy reads a stored dump, restores it into a throwaway server, and returns what is then in there.
func restoreCopy(ctx context.Context, store *s3.Store, m manifest.Manifest,
	identities []age.Identity) (content manifest.Content, err error) {
	start := time.Now()
	server, err := postgres.StartScratch(ctx, serverDir())
	if err != nil {
		return content, fmt.Errorf("start the throwaway server: %w", err)
	}
	defer func() {
		if closeErr := server.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("remove the throwaway server: %w", closeErr))
		}
	}()
	err = readBack(ctx, store, m, func(stored io.Reader) error {
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

// opens fails if a dump is encrypted and there is nothing to open it with.
func opens(m manifest.Manifest, identities []age.Identity) error {
	if m.Dump.Recipient != "" && identities == nil {
		return fmt.Errorf("its dump is encrypted to %s: let AGE_IDENTITY_FILE name the file with its private key",
			m.Dump.Recipient)
	}
	return nil
}

func decrypt(stored io.Reader, m manifest.Manifest, identities []age.Identity) (io.Reader, error) {
	if m.Dump.Recipient == "" {
		return stored, nil
	}
	dump, err := age.Decrypt(stored, identities...)
	if err != nil {
		return nil, fmt.Errorf("decrypt it: %w", err)
	}
	return dump, nil
}

// readBack lets use read a stored dump, then reads the rest, and fails if it was not what the manifest says.
func readBack(ctx context.Context, store *s3.Store, m manifest.Manifest, use func(io.Reader) error) error {
	object, err := store.ReadDump(ctx, m.Name)
	if err != nil {
		return err
	}
	defer object.Close()
	stored := newDigest(ahead(object))
	useErr := use(stored)
	if _, err := io.Copy(io.Discard, stored); err != nil {
		return fmt.Errorf("read the stored dump: %w", err)
	}
	// Whatever use has found, this is why.
	if stored.size != m.Dump.Size {
		return fmt.Errorf("%w: it has %d bytes instead of %d", errDamaged, stored.size, m.Dump.Size)
	}
	if stored.String() != m.Dump.SHA256 {
		return fmt.Errorf("%w: its SHA-256 is %s instead of %s", errDamaged, stored, m.Dump.SHA256)
	}
	return useErr
}

// readAhead is in bytes.
const readAhead = 1 << 20

// ahead reads on while what it has read is being worked on. Whoever begins to read has to read to the end, or
// to an error.
func ahead(from io.Reader) io.Reader {
	read, write := io.Pipe()
	go func() {
		_, err := io.CopyBuffer(write, from, make([]byte, readAhead))
		_ = write.CloseWithError(err) // never fails, by its documentation
	}()
	return bufio.NewReaderSize(read, readAhead)
}

// compare fails unless a restored copy is equal to what the manifest records of the database. The manifest
// then describes the copy, which may have other words for the same schema, and other values in generated
// columns.
func compare(ctx context.Context, m *manifest.Manifest, restored manifest.Content) error {
	onlySchema := len(m.Content.WithSchemaOf(restored).Differences(restored)) == 0
	if definition := m.Content.Definition; definition != nil && onlySchema &&
		m.Content.Schema != restored.Schema {
		// A server may write an expression in other words when it has read it back: x IN ('a') of a varchar
		// column gets its casts in another place. So both are compared in the words of a server that has read
		// them once.
		again, err := reread(ctx, *m, bytes.NewReader(definition))
		if err != nil {
			return fmt.Errorf("restore the schema to compare it: %w", err)
		}
		m.Content = m.Content.WithSchemaOf(again)
	}
	if err := equal(*m, restored); err != nil {
		return err
	}
	for _, table := range m.Content.RecomputedTables(restored) {
		slog.Warn("a restore gives generated columns other values, for a function was changed since rows were written",
			"table", table.Schema+"."+table.Name, "columns", strings.Join(table.Generated, ", "))
	}
	m.Content = restored
	return nil
}

// reread is what a throwaway server makes of the schema in a dump.
func reread(ctx context.Context, m manifest.Manifest, dump io.Reader) (content manifest.Content, err error) {
	server, err := postgres.StartScratch(ctx, serverDir())
	if err != nil {
		return content, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := server.Restore(ctx, m.Content.Roles, dump, "--schema-only"); err != nil {
		return content, err
	}
	return server.Content(ctx, m.Database)
}

// equal fails unless contents are equal.
func equal(m manifest.Manifest, restored manifest.Content) error {
	differences := m.Content.Differences(restored)
	if len(differences) == 0 {
		return nil
	}
	const told = 10
	if more := len(differences) - told; more > 0 {
		differences = append(differences[:told], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("compare: %w: %s", errDiffers, strings.Join(differences, ", "))
}

// digest counts and hashes what is read through it.
type digest struct {
	from io.Reader
	hash hash.Hash
	size int64
	err  error // of from
}

func newDigest(from io.Reader) *digest { return &digest{from: from, hash: sha256.New()} }

func (d *digest) Read(p []byte) (int, error) {
	n, err := d.from.Read(p)
	d.size += int64(n)
	d.hash.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		d.err = err
	}
	return n, err
}

func (d *digest) String() string { return hex.EncodeToString(d.hash.Sum(nil)) }
