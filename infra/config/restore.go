package config

import (
	"slices"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
)

// databases are the names that settings call the databases by.
var databases = []string{"pingpong", "todo"}

// restores returns what each database is restored from, by the database's name. Databases that are not
// restored are left out.
func (r *reader) restores() map[string]*backup.Restore {
	const sharedKey, overKey, identityKey = "restoreFrom", "restoreOver", "restoreIdentity"
	const example = "latest"
	shared := r.text(sharedKey, optional(restorePoint), example)
	if !r.faulty(sharedKey) && namesOneDatabase(shared) {
		r.fault(sharedKey, "%s is of one database; for example: pulumi config set pingpongRestoreFrom %[1]s",
			shared)
	}
	over := strings.Fields(r.text(overKey, databaseNames, "pingpong"))
	key := r.secret(identityKey, identity, `"$(grep AGE-SECRET-KEY key.txt)"`)
	restores := map[string]*backup.Restore{}
	for _, database := range databases {
		from := r.text(database+"RestoreFrom", optional(restorePoint), example)
		if from == "" {
			from = shared
		}
		if from != "" {
			restores[database] = &backup.Restore{From: from, Over: slices.Contains(over, database), Identity: key}
		} else if slices.Contains(over, database) {
			r.fault(overKey, "names %s, which is restored from nothing; for example: "+
				"pulumi config set %[1]sRestoreFrom latest, or pulumi config rm %[2]s", database, overKey)
		}
	}
	return restores
}
