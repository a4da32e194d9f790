// Package database declares the database of an app: its server, its Secret, its backups, its archive and its
// restore.
package database

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// Images are the images of a database's pods.
type Images struct {
	// Server is the official image postgres on Debian, 17 or newer. With an Archive it contains the archiver
	// too.
	Server pulumi.StringInput
	// Exporter is postgres_exporter. Backup has the Server's major version of Postgres.
	Exporter, Backup pulumi.StringInput
}

// Archive says how the write-ahead log is archived beside the backups. Only Passphrase is optional.
type Archive struct {
	// Timeout bounds the period of changes that are lost with the server's volume, in whole seconds.
	Timeout time.Duration
	// KeepDays is how many days back the database can be restored.
	KeepDays int
	// Passphrase encrypts the archive; nil for none. A new one starts a new archive, beside the old one.
	Passphrase pulumi.StringInput
}

// Args describes the database. Prefix, Clients, Archive and Restore are optional. What another resource may
// give is an input. The rest is plain: names of objects derive from names, and sizes, times and parameters
// are checked before anything is declared.
type Args struct {
	Namespace *kube.Namespace
	// Name is the name of the database, and of the role that owns it.
	Name string
	// Prefix precedes the names of all objects. Databases of one namespace need different ones.
	Prefix string
	Images Images
	// Bucket keeps backups and archive in Folder, which is the database's own.
	Bucket storage.Bucket
	Folder pulumi.StringInput
	// Clients may connect to the server. Without any, they are the pods of the namespace with the label
	// postgres-client: "true".
	Clients []kube.Pods
	Server  statefulset.Settings
	// CloudNativePG runs the server; nil for a StatefulSet.
	CloudNativePG *cloudnativepg.Settings
	Backup        backup.Settings
	// Archive is nil for none. Then the database can be restored to backups only.
	Archive *Archive
	// Version says where the data of the server's major version comes from. The zero value is for a database
	// that has never moved.
	Version Version
	// Restore is restored before anything else uses the database; nil for nothing.
	Restore *backup.Restore
}

// Version is which major version of Postgres the server has.
type Version struct {
	statefulset.Version
	// Rehearsal makes a backup, and tries the parameters with the new version, before the old server is stopped.
	// It is the Backup image of the old version; nil for no rehearsal.
	Rehearsal pulumi.StringInput
}

// Database is the component.
type Database struct {
	pulumi.ResourceState
	// Server is ready once the database is restored.
	server.Server
	// Claim is the server's volume, as NAMESPACE/CLAIM, or the Cluster that has the volumes.
	Claim string
	// Metrics are the server's, and the backups'.
	Metrics []kube.Metrics
	// Backups is the URL of the backups' folder.
	Backups pulumi.StringOutput `pulumi:"backups"`
}

// New declares the server, and the backups that Pulumi waits for: docs/backups.md.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Database, error) {
	if args.Namespace == nil {
		return nil, fmt.Errorf("database %s: Namespace is required", name)
	}
	d := &Database{}
	inputs := pulumi.Map{"namespace": pulumi.String(args.Namespace.Name)}
	err := ctx.RegisterComponentResourceV2("stateful-k3s:database:Database", name, inputs, d, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring database %s: %w", name, err)
	}
	if err := d.declare(ctx, name, args); err != nil {
		return nil, fmt.Errorf("database %s: %w", name, err)
	}
	return d, nil
}

func (d *Database) declare(ctx *pulumi.Context, name string, args Args) error {
	engine := statefulset.Args{
		Namespace:     args.Namespace,
		Prefix:        args.Prefix,
		Image:         args.Images.Server,
		ExporterImage: args.Images.Exporter,
		Database:      args.Name,
		Clients:       args.Clients,
		Version:       args.Version.Version,
		Settings:      args.Server,
	}
	backups := backup.Args{
		Namespace: args.Namespace,
		Prefix:    args.Prefix,
		Image:     args.Images.Backup,
		Bucket:    args.Bucket,
		Folder:    args.Folder,
		Restore:   args.Restore,
		Settings:  args.Backup,
	}
	if archive := args.Archive; archive != nil {
		engine.Archive = &statefulset.Archive{Bucket: args.Bucket, Folder: args.Folder, Timeout: archive.Timeout,
			KeepDays: archive.KeepDays, Passphrase: archive.Passphrase}
		backups.ArchivePassphrase = archive.Passphrase
	}
	if args.Version.Rehearsal != nil {
		engine.Version.Rehearse = func(old server.Server, try statefulset.Rehearsal) (pulumi.Resource, error) {
			rehearsed := backups
			rehearsed.Server, rehearsed.Image = old, args.Version.Rehearsal
			return backup.Rehearse(ctx, name+"-upgrade", rehearsed, try, pulumi.Parent(d))
		}
	}
	var running server.Server
	servers := 1
	if args.CloudNativePG != nil {
		cluster, err := cloudnativepg.New(ctx, name+"-postgres",
			cloudnativepg.Args{Args: engine, Settings: *args.CloudNativePG}, pulumi.Parent(d),
			takesOver("stateful-k3s:statefulset:Server"))
		if err != nil {
			return err
		}
		running, d.Claim, servers = cluster.Server, cluster.Cluster, args.CloudNativePG.Instances
		if args.Restore != nil {
			restore := *args.Restore
			restore.Recovered = cluster.Recovered
			backups.Restore = &restore
		}
	} else {
		set, err := statefulset.New(ctx, name+"-postgres", engine, pulumi.Parent(d),
			takesOver("stateful-k3s:cloudnativepg:Server"))
		if err != nil {
			return err
		}
		running, d.Claim = set.Server, set.Claim
	}
	backups.Server = running
	proven, err := backup.New(ctx, name+"-backup", backups, pulumi.Parent(d),
		pulumi.Aliases([]pulumi.Alias{formerly("stateful-k3s:backup:Backup")}))
	if err != nil {
		return err
	}
	d.Server, d.Backups = proven.Server, proven.Location
	d.Metrics = []kube.Metrics{
		{Job: "postgres", Pods: d.Pods, Port: server.MetricsPort, Count: servers}, proven.Metrics,
	}
	for i := range d.Metrics {
		d.Metrics[i].Database = name
	}
	return ctx.RegisterResourceOutputs(d, pulumi.Map{"address": d.Address, "backups": d.Backups})
}

// formerly makes a part take over the component that it was before databases were components. Its children
// follow it, so that none is made anew.
func formerly(token string) pulumi.Alias {
	return pulumi.Alias{Type: pulumi.String(token), NoParent: pulumi.Bool(true)}
}

// takesOver keeps what the engines share, such as passwords, when a database comes from the other one.
func takesOver(engine string) pulumi.ResourceOption {
	return pulumi.Aliases([]pulumi.Alias{
		formerly("stateful-k3s:postgres:Postgres"), {Type: pulumi.String(engine)},
	})
}
