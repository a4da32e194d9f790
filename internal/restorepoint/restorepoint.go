// Package restorepoint names what a database can be restored from: a backup, an archive of the write-ahead
// log, or a time.
package restorepoint

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"
)

const (
	// Latest is the newest backup of a lost server.
	Latest = "latest"
	// End is everything that a lost server archived.
	End = "end"
)

const (
	archivePrefix = End + "-"
	backupTime    = "20060102T150405Z"
	randomBytes   = 3
)

var (
	backupPattern  = regexp.MustCompile(`^\d{8}T\d{6}Z-[0-9a-f]{6}$`)
	archivePattern = regexp.MustCompile(`^` + archivePrefix + `(\d+(-\d{1,7})?(-[0-9a-f]{8})?)$`)
)

// NewBackup returns a unique name for a backup whose snapshot was taken at that time.
func NewBackup(snapshot time.Time) string {
	random := make([]byte, randomBytes)
	_, _ = rand.Read(random) // never fails, by its documentation
	return snapshot.UTC().Format(backupTime) + "-" + hex.EncodeToString(random)
}

// BackupTime returns the time of the snapshot, which starts the name of a backup.
func BackupTime(name string) (time.Time, error) {
	if !backupPattern.MatchString(name) {
		return time.Time{}, fmt.Errorf("%q is not the name of a backup; for example: 20261122T020000Z-1a2b3c", name)
	}
	return time.Parse(backupTime, name[:len(backupTime)])
}

// IsBackup tells whether a text is the name of a backup.
func IsBackup(name string) bool {
	_, err := BackupTime(name)
	return err == nil
}

// Archive names the end of an archive: everything in it.
func Archive(stanza string) string { return archivePrefix + stanza }

// ArchiveStanza returns the stanza in a name that Archive made; empty if it is none.
func ArchiveStanza(name string) string {
	parts := archivePattern.FindStringSubmatch(name)
	if parts == nil {
		return ""
	}
	return parts[1]
}
