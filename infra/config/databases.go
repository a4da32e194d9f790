package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/database"
	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
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
	// Engine is what runs the server, and Instances how many servers it runs if there can be several.
	Engine    string
	Instances int
	// Image is the server's; empty for the one that it runs.
	Image string
	// Version is what the cluster makes of the Image.
	Version cluster.Version
	// GoesBack allows to leave behind what was written since a move to a newer version.
	GoesBack bool
	Server   statefulset.Settings
	Backup   backup.Settings
	// Archive is nil for none. ArchiveTimeout is what it has, or would have.
	Archive        *database.Archive
	ArchiveTimeout time.Duration
	// Restore is nil for nothing.
	Restore *backup.Restore
	// ExistingSecret has the passwords, in the database's namespace; empty for generated ones.
	ExistingSecret string
	// Clients are pods that may connect. Their namespaces are the cluster's; nil for the default.
	Clients []kube.Pods

	entry     string // the path of its entry in databases, such as databases[2]; empty for none
	sizeKey   string // the setting of the server's StorageSize
	ownEngine bool   // whether its entry names the engine
	ownImage  bool   // whether its entry names the image

	ownArchive  bool   // whether its entry says whether there is an archive
	restoreFrom string // what Restore restores
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

// Existing is the Secret with the database's passwords, in a namespace of the cluster.
func (d Database) Existing(namespace string) cluster.ExistingSecret {
	return cluster.ExistingSecret{Namespace: namespace, Name: d.ExistingSecret,
		Setting: d.field("existingSecret")}
}

// Claim describes the claims of the database's servers in a namespace of the cluster.
func (d Database) Claim(namespace string) cluster.Claim {
	claim := cluster.Claim{Namespace: namespace, Size: d.Server.StorageSize, Setting: d.sizeKey,
		Set: SetCommand(d.sizeKey)}
	if d.Engine == cluster.CloudNativePGEngine {
		claim.Cluster = cloudnativepg.Name(d.Prefix())
	} else {
		claim.Name = statefulset.Claim(d.Prefix())
	}
	return claim
}

// EngineSetting is the path of the setting that names the engine.
func (d Database) EngineSetting() string {
	if d.ownEngine {
		return d.field("engine")
	}
	return "engine"
}

// ArchiveSetting is the path of the setting for an archive.
func (d Database) ArchiveSetting() string {
	if d.ownArchive {
		return d.field("archive")
	}
	return "archive"
}

// ImageSetting is the path of the setting that names the image.
func (d Database) ImageSetting() string {
	if d.ownImage {
		return d.field("image")
	}
	return "postgresImage"
}

// field is the path of a field of the database's entry.
func (d Database) field(name string) string { return d.entry + "." + name }

// databases completes the databases with their settings.
func (r *reader) databases(databases []Database, versions map[string]kube.Versions) (all []Database) {
	restores := r.restores(databases)
	back := strings.Fields(r.text("postgresGoBack", r.unlessUnsure(databaseNames(databases)), databases[0].Name))
	// The settings of all databases are read and checked even if every database has its own.
	r.settings(Database{}, restores)
	heartbeat := r.heartbeat()
	for _, d := range databases {
		d = r.settings(d, restores)
		d.Backup.Heartbeat = heartbeat(d.Name)
		d.GoesBack = slices.Contains(back, d.Name)
		d.Server.SecretVersions = versions[d.Name]
		all = append(all, d)
	}
	return all
}

// settings reads a database's settings. An empty database stands for all: it has the shared ones.
func (r *reader) settings(d Database, restores restores) Database {
	key := func(field string) string { return r.key(d, field) }
	d.Engine, d.Instances = r.engine(d)
	d.ownEngine = r.sets(d, "engine")
	what := optional(postgresImage)
	if d.ownImage = r.sets(d, "image"); d.ownImage {
		what = postgresImage
	}
	d.Image = r.text(key("image"), what, cluster.DefaultPostgres)
	d.Server = statefulset.Settings{
		Password:       r.secret("postgresPassword", password, newPassword),
		ReaderPassword: r.secret("postgresReaderPassword", password, newPassword),
		StorageClass:   r.text(key("storageClass"), storageClass, "local-path"),
		StorageSize:    r.text(key("storageSize"), size("256Mi"), "1Gi"),
		Memory:         r.text(key("memory"), memory("128Mi"), "512Mi"),
		Parameters:     r.parameters(key("parameters"), `"work_mem=8MB; log_min_duration_statement=250ms"`),
	}
	d.sizeKey = key("storageSize")
	d.Backup = backup.Settings{
		Schedule:    r.text(key("schedule"), schedule, `"0 2 * * *"`),
		TimeZone:    r.text(key("timeZone"), timeZone, "Europe/Helsinki"),
		KeepDaily:   r.number(key("keepDaily"), count, "7"),
		KeepWeekly:  r.number(key("keepWeekly"), count, "4"),
		KeepMonthly: r.number(key("keepMonthly"), count, "6"),
		ScratchSize: r.text(key("scratchSize"), size("256Mi"), "4Gi"),
		Memory:      r.text(key("backupMemory"), memory("256Mi"), "512Mi"),
		Compression: r.number(key("compression"), compression, "3"),
		Recipient:   r.text("backupRecipient", optional(recipient), "$(age-keygen -y key.txt)"),
		Timeout:     r.duration(key("backupTimeout"), withinADay, "90m"),
	}
	archive := &database.Archive{
		Timeout:    r.duration(key("archiveTimeout"), withinAnHour, "60s"),
		KeepDays:   r.number(key("archiveKeepDays"), days, "7"),
		Passphrase: r.secret("archivePassphrase", password, newPassword),
	}
	d.ArchiveTimeout = archive.Timeout
	d.ownArchive = r.sets(d, "archive")
	if r.boolean(key("archive"), "false") {
		d.Archive = archive
	}
	d.Restore, d.restoreFrom = r.restore(d, restores), r.read(key("restoreFrom"))
	if r.sets(d, "extensions") {
		d.Server.Extensions = strings.Fields(r.text(key("extensions"), extensions, `"hstore pg_trgm"`))
	}
	if r.sets(d, "existingSecret") {
		d.ExistingSecret = r.text(key("existingSecret"), objectName("the name of a Secret"), "shop-password")
	}
	if r.sets(d, "clients") {
		for _, pods := range strings.Fields(r.text(key("clients"), clients, "apps/app=web")) {
			parsed, _ := parsePods(pods)
			d.Clients = append(d.Clients, parsed)
		}
	}
	return d
}

// databaseNames accepts lists of the databases' names.
func databaseNames(databases []Database) check {
	var names []string
	for _, d := range databases {
		names = append(names, d.Name)
	}
	first, last := strings.Join(names[:len(names)-1], ", "), names[len(names)-1]
	what := fmt.Sprintf("a list of %s and %s with spaces between them", first, last)
	return satisfies(what, func(value string) bool {
		return !slices.ContainsFunc(strings.Fields(value), func(name string) bool {
			return !slices.Contains(names, name)
		})
	})
}
