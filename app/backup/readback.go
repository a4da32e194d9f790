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

// checkIdentity fails if a dump is encrypted and there is no key to open it.
func checkIdentity(m manifest.Manifest, identities []age.Identity) error {
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

// readBack passes a stored dump to use, reads the rest itself, and fails if it was not what the manifest
// says.
func (c config) readBack(ctx context.Context, m manifest.Manifest, use func(io.Reader) error) error {
	object, err := c.store.ReadDump(ctx, m.Name)
	if err != nil {
		return err
	}
	defer object.Close()
	stored := newDigest(readAhead(object))
	useErr := use(stored)
	if _, err := io.Copy(io.Discard, stored); err != nil {
		return fmt.Errorf("read the stored dump: %w", err)
	}
	// Damage explains any error of use.
	if stored.size != m.Dump.Size {
		return fmt.Errorf("%w: it has %d bytes instead of %d", errDamaged, stored.size, m.Dump.Size)
	}
	if stored.String() != m.Dump.SHA256 {
		return fmt.Errorf("%w: its SHA-256 is %s instead of %s", errDamaged, stored, m.Dump.SHA256)
	}
	return useErr
}

// readAhead reads the next MiB while the last one is processed. The caller must read to the end, or to an
// error.
func readAhead(from io.Reader) io.Reader {
	const size = 1 << 20
	read, write := io.Pipe()
	go func() {
		_, err := io.CopyBuffer(write, from, make([]byte, size))
		_ = write.CloseWithError(err) // never fails, by its documentation
	}()
	return bufio.NewReaderSize(read, size)
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

var errDiffers = errors.New("the restored copy differs from the database")

// restoreScratch reads a stored dump, restores it into a scratch server, and returns the restored content.
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

// closeScratch removes a scratch server, and adds an error of its own to err.
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
		slog.Warn("a restore gives generated columns other values, "+
			"for a function was changed since rows were written",
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
