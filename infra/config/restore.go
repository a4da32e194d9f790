package config

import (
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/stateful-k3s/stateful-k3s/infra/backup"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// databases are those that can be restored, by the names that settings give them.
var databases = []string{"pingpong", "todo"}

// restores are what databases are restored from, by their names. Those that are not have none.
func (r *reader) restores() map[string]*backup.Restore {
	const everyKey, overKey, identityKey = "restoreFrom", "restoreOver", "restoreIdentity"
	const example = "latest"
	every := r.text(everyKey, optional(restorePoint), example)
	if !r.faulty(everyKey) && namesOneDatabase(every) {
		r.fault(everyKey, "%s is of one database; for example: pulumi config set pingpongRestoreFrom %[1]s", every)
	}
	over := strings.Fields(r.text(overKey, databaseNames, "pingpong"))
	key := r.secret(identityKey, identity, `"$(grep AGE-SECRET-KEY key.txt)"`)
	restores := map[string]*backup.Restore{}
	for _, database := range databases {
		from := r.text(database+"RestoreFrom", optional(restorePoint), example)
		if from == "" {
			from = every
		}
		if from != "" {
			restores[database] = &backup.Restore{From: from, Over: slices.Contains(over, database), Identity: key}
		} else if slices.Contains(over, database) {
			r.fault(overKey, "names %s, which is restored from nothing; for example: pulumi config set %[1]sRestoreFrom latest, or pulumi config rm %[2]s", database, overKey)
		}
	}
	return restores
}

// namesOneDatabase tells whether a restore point is the name of a backup or an archive.
func namesOneDatabase(value string) bool {
	return restorepoint.IsBackup(value) || restorepoint.ArchiveStanza(value) != ""
}

func restorePoint(value string) string {
	at, err := time.Parse(time.RFC3339, value)
	if err == nil && at.After(time.Now()) {
		return "a time in the past"
	}
	if err == nil || value == restorepoint.Latest || value == restorepoint.End || namesOneDatabase(value) {
		return ""
	}
	return "latest, end, the name of a backup or an archive, or a time such as 2026-11-22T14:05:00Z"
}

func databaseNames(value string) string {
	for _, name := range strings.Fields(value) {
		if !slices.Contains(databases, name) {
			return "a list of " + strings.Join(databases, " and ") + " with spaces between them"
		}
	}
	return ""
}

func identity(value string) string {
	if _, err := age.ParseX25519Identity(value); err != nil {
		return "a private key of age"
	}
	return ""
}
