package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// Version is the version of the manifest's format.
const Version = 1

// Manifest describes a backup. It is stored once the restored dump was found equal to the database, and makes
// the dump a backup.
type Manifest struct {
	Version int `json:"version"`
	// Name is the backup's name. It starts with the time of its snapshot.
	Name     string `json:"name"`
	Database string `json:"database"`
	// Server is the database's version of Postgres, Client the version of the programs that dumped and restored
	// it.
	Server string `json:"server"`
	Client string `json:"client"`
	// Started is when the run began, Verified when the restored dump was found equal.
	Started  time.Time `json:"started"`
	Verified time.Time `json:"verified"`
	Dump     Dump      `json:"dump"`
	Content  Content   `json:"content"`
	// Replacing is in older manifests, of databases that a restore was about to replace.
	Replacing string `json:"replacing,omitempty"`
	// System is the identifier of the database's server; empty in older manifests.
	System string `json:"system,omitempty"`
	// Lacks names each thing of the database and its server that is not in the backup.
	Lacks []string `json:"lacks,omitempty"`
}

// Dump is the stored object that holds the database, in the custom format of pg_dump.
type Dump struct {
	// Size is in bytes.
	Size int64 `json:"size"`
	// SHA256 is in hexadecimal, of the object as it is stored.
	SHA256 string `json:"sha256"`
	// Recipient is the public key of age that it is encrypted to; empty if it is not.
	Recipient string `json:"recipient,omitempty"`
}

// Duration returns how long it took until the backup was verified.
func (m Manifest) Duration() time.Duration { return m.Verified.Sub(m.Started) }

// IsFrom tells whether the backup is of the server with that identifier. An older manifest does not name its
// server. Then the backup is of this one if it was taken after the server was made: identifiers start with
// that time. Source: BootStrapXLOG,
// https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/access/transam/xlog.c
func (m Manifest) IsFrom(system string) bool {
	if m.System != "" {
		return m.System == system
	}
	identifier, err := strconv.ParseUint(system, 10, 64)
	taken, nameErr := restorepoint.BackupTime(m.Name)
	return err == nil && nameErr == nil && taken.Unix() >= int64(identifier>>32)
}

// sealed is a manifest with the SHA-256 of its JSON.
type sealed struct {
	Manifest json.RawMessage `json:"manifest"`
	SHA256   string          `json:"sha256"`
}

// Encode returns the manifest as it is stored.
func (m Manifest) Encode() ([]byte, error) {
	content, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(content)
	return json.Marshal(sealed{content, hex.EncodeToString(digest[:])})
}

// Decode reads a stored manifest. It accepts nothing that Encode does not write, to the byte, nor the
// manifest of a backup with another name.
func Decode(stored []byte, name string) (Manifest, error) {
	var outer sealed
	var m Manifest
	if err := json.Unmarshal(stored, &outer); err != nil {
		return m, fmt.Errorf("it is no manifest: %w", err)
	}
	if err := json.Unmarshal(outer.Manifest, &m); err != nil {
		return m, fmt.Errorf("it is no manifest: %w", err)
	}
	if m.Version != Version {
		return m, fmt.Errorf("it is of version %d, which this program does not know: take the one that wrote it",
			m.Version)
	}
	again, err := m.Encode()
	if err != nil {
		return m, err
	}
	if !bytes.Equal(again, stored) {
		return m, errors.New("it was changed after it was written")
	}
	if m.Name != name {
		return m, fmt.Errorf("it belongs to %s", m.Name)
	}
	return m, nil
}

// WithoutFuture removes the names of backups that a wrong clock dated in the future: they would stay the
// newest until then. If all are, this clock is wrong, and all stay.
func WithoutFuture(names []string, now time.Time) []string {
	past := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		taken, err := restorepoint.BackupTime(name)
		return err == nil && taken.After(now.Add(pgbackrest.ClockSkew))
	})
	if len(past) == 0 {
		return names
	}
	return past
}
