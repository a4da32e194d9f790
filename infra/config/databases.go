package config

import (
	"strings"

	"github.com/stateful-k3s/stateful-k3s/infra/database"
	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Database holds the settings of one database.
type Database struct {
	// Name is the name in the settings and in the program.
	Name string
	// Namespace is without NamePrefix.
	Namespace string
	// BuiltIn databases have the course's names. The names of others begin with their own.
	BuiltIn bool
	// Image is the server's.
	Image  string
	Server statefulset.Settings
	Backup backup.Settings
	// Archive is nil for none.
	Archive *database.Archive
	// Restore is nil for nothing.
	Restore *backup.Restore
}

// DatabaseName is the name of the database in Postgres, and of the role that owns it.
func (d Database) DatabaseName() string { return strings.ReplaceAll(d.Name, "-", "_") }

// Prefix precedes the names of the database's objects.
func (d Database) Prefix() string {
	if d.BuiltIn {
		return ""
	}
	return d.Name + "-"
}

// Account is the storage server's account and the bucket's folder of the database in a namespace. No name has
// an underscore, so no two databases share one.
func (d Database) Account(namespace string) string {
	if d.BuiltIn {
		return namespace
	}
	return namespace + "_" + d.Name
}

// builtIn are the databases of the stack's own apps.
var builtIn = []Database{
	{Name: "pingpong", Namespace: "exercises", BuiltIn: true},
	{Name: "todo", Namespace: "project", BuiltIn: true},
}

// databases returns all databases, in the order of their names.
func (r *reader) databases(storageClass string, versions map[string]kube.Versions) (all []Database) {
	shared := Database{
		Image: r.text("postgresImage", postgresImage, "postgres:17"),
		Server: statefulset.Settings{
			PasswordVersion: r.text("postgresPasswordVersion", notEmpty, "2"),
			TLSVersion:      r.text("postgresTLSVersion", notEmpty, "2"),
			StorageClass:    storageClass,
			StorageSize:     r.text("postgresStorageSize", size("256Mi"), "1Gi"),
			Memory:          r.text("postgresMemory", memory("128Mi"), "512Mi"),
			Parameters:      r.parameters("postgresParameters", `"work_mem=8MB; log_min_duration_statement=250ms"`),
		},
		Backup:  r.backups(),
		Archive: r.archive(),
	}
	passwords, readerPasswords := r.passwords("Password"), r.passwords("ReaderPassword")
	restores := r.restores()
	for _, database := range builtIn {
		settings := shared
		settings.Name, settings.Namespace, settings.BuiltIn = database.Name, database.Namespace, true
		settings.Server.Password = passwords[database.Name]
		settings.Server.ReaderPassword = readerPasswords[database.Name]
		settings.Server.SecretVersions = versions[database.Name]
		settings.Restore = restores[database.Name]
		all = append(all, settings)
	}
	return all
}
