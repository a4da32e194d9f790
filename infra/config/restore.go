package config

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
)

const restoreOverKey = "restoreOver"

// restores are the settings of all restores.
type restores struct {
	over     []string // names of databases
	identity pulumi.StringInput
}

func (r *reader) restores(databases []Database) restores {
	const fromKey = "restoreFrom"
	from := r.text(fromKey, optional(restorePoint), "latest")
	if !r.faulty(fromKey) && namesOneDatabase(from) {
		r.fault(fromKey, "%s is of one database; for example: %s && %s", from,
			r.setField(databases[0], fromKey, from), rm(fromKey))
	}
	return restores{
		over: strings.Fields(r.text(restoreOverKey, r.unlessUnsure(databaseNames(databases)),
			databases[0].Name)),
		identity: r.secret("restoreIdentity", identity, `"$(grep AGE-SECRET-KEY key.txt)"`),
	}
}

// restore returns what the database is restored from; nil for nothing.
func (r *reader) restore(d Database, restores restores) *backup.Restore {
	from := r.text(r.key(d, "restoreFrom"), optional(restorePoint), "latest")
	key, over := r.key(d, "restoreOver"), slices.Contains(restores.over, d.Name)
	if r.sets(d, "restoreOver") {
		over = r.boolean(key, "true")
	}
	if from != "" {
		return &backup.Restore{From: pulumi.String(from), Over: over, Identity: restores.identity}
	}
	if over {
		r.fault(key, "set for %q, which is restored from nothing; for example: %s, or %s", d.Name,
			r.setField(d, "restoreFrom", "latest"), rm(key))
	}
	return nil
}
