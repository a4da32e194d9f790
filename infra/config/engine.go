package config

import (
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

const (
	// least is the memory that a server of CloudNativePG needs, with the program that looks after it.
	least = "256Mi"
	noWay = "the engine of %s is " + cluster.CloudNativePGEngine
)

var (
	engine = matches("^("+cluster.StatefulSet+"|"+cluster.CloudNativePGEngine+")$",
		cluster.StatefulSet+" or "+cluster.CloudNativePGEngine)
	// Of two instances, the loss of either would stop all writes.
	instances = matches("^[1345]$", "1, 3, 4 or 5")
)

// engine reads what runs the database's servers, and how many there are.
func (r *reader) engine(d Database) (name string, servers int) {
	engineKey, instancesKey := r.key(d, "engine"), r.key(d, "instances")
	name = r.text(engineKey, engine, cluster.CloudNativePGEngine)
	servers = r.number(instancesKey, instances, "3")
	if r.sets(d, "instances") && name == cluster.StatefulSet && !r.faulty(engineKey) && !r.faulty(instancesKey) {
		r.fault(instancesKey, "set for %q, whose engine is %s, which has one; for example: %s, or %s", d.Name, name,
			rm(instancesKey), r.setField(d, "engine", cluster.CloudNativePGEngine))
	}
	return name, servers
}

// Recovered is the name of the Cluster that has the database as it was, if it is restored from the archive of
// CloudNativePG; "" otherwise.
func (d Database) Recovered() string {
	if d.Engine != cluster.CloudNativePGEngine || d.Archive == nil ||
		d.restoreFrom != restorepoint.End && d.RestoredTo().IsZero() {
		return ""
	}
	return cloudnativepg.RecoveredName(d.Prefix(), d.RestoredTo())
}

// RestoredTo is the time that the database is restored to; zero if restoreFrom names no time.
func (d Database) RestoredTo() time.Time {
	at, err := time.Parse(time.RFC3339, d.restoreFrom)
	if err != nil {
		return time.Time{}
	}
	return at
}

// checkEngine refuses what the engine cannot do.
func (r *reader) checkEngine(d Database) {
	if d.Engine != cluster.CloudNativePGEngine {
		return
	}
	refuse := func(field, format string, args ...any) {
		if key := r.key(d, field); !r.faulty(key) {
			r.fault(key, format, args...)
		}
	}
	if d.Archive != nil && (d.Archive.Passphrase != nil || d.Backup.Recipient != "") {
		refuse("archive", "true, though "+noWay+", whose archive is not encrypted, and backups or archives are "+
			"(backupRecipient, archivePassphrase); for example: %s", d.Name, r.setField(d, "archive", "false"))
	}
	inArchive := d.restoreFrom != "" && d.restoreFrom != restorepoint.Latest &&
		!restorepoint.IsBackup(d.restoreFrom)
	if inArchive && d.Archive == nil {
		refuse("restoreFrom", "%q is in an archive, though "+noWay+", and has none; for example: %s, or the name "+
			"of a backup", redact(d.restoreFrom), d.Name, r.setField(d, "restoreFrom", restorepoint.Latest))
	}
	if inArchive && restorepoint.ArchiveStanza(d.restoreFrom) != "" {
		refuse("restoreFrom", "%q is an archive of the engine %s, though "+noWay+"; for example: %s, or a time",
			redact(d.restoreFrom), cluster.StatefulSet, d.Name, r.setField(d, "restoreFrom", restorepoint.End))
	}
	if d.Image != "" && server.Major(d.Image) == "" {
		refuse("image", "%q does not say its major version in the tag, though "+noWay+", which asks for it; "+
			"for example: %s", d.Image, d.Name, r.setField(d, "image", cluster.DefaultPostgres))
	}
	if err := cloudnativepg.CheckParameters(d.Server.Parameters); err != nil {
		refuse("parameters", "%w, and "+noWay+"; for example: %s", err, d.Name,
			r.setField(d, "parameters", "work_mem=8MB"))
	}
	memory, err := resource.ParseQuantity(d.Server.Memory)
	if err == nil && memory.Cmp(resource.MustParse(least)) < 0 {
		refuse("memory", "%q is not at least %s, though "+noWay+"; for example: %s", d.Server.Memory, least, d.Name,
			r.setField(d, "memory", "512Mi"))
	}
}
