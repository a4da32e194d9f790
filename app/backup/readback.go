package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"filippo.io/age"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
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

// readBack passes a stored dump to use, reads the rest itself, and fails if it was not what the manifest says.
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
