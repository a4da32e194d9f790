package cloudnativepg

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

const (
	// StoreKind is the kind of the object with which the plugin finds a bucket.
	StoreKind = "objectstores.barmancloud.cnpg.io"

	plugin           = "barman-cloud.cloudnative-pg.io"
	pluginAPIVersion = "barmancloud.cnpg.io/v1"
	// archiveFolder is in the folder of the database, beside its backups.
	archiveFolder = "barman"
)

// Archive says how plugin-barman-cloud archives the log, in addition to what both engines need to know.
type Archive struct {
	// Name is the folder of this Cluster's log in the archive. Another Cluster needs another one.
	Name string
	// Schedule is a cron expression, in UTC, for base backups.
	Schedule string
	// Recovery is nil for none.
	Recovery *Recovery
	// Await waits until the primary has the plugin beside it; nil to not wait, as in a preview.
	Await func(context.Context) error
}

// Recovery makes another server, as the database was.
type Recovery struct {
	// From is the folder of the log in the archive.
	From string
	// Until is zero for the end of the archive.
	Until time.Time
}

// RecoveredName is the name of the Cluster that is recovered until a time.
func RecoveredName(prefix string, until time.Time) string {
	if until.IsZero() {
		return Name(prefix) + "-end"
	}
	name := strings.ToLower(until.UTC().Format("-20060102t150405.999z"))
	return Name(prefix) + strings.ReplaceAll(name, ".", "-") // a Cluster's name is a DNS label
}

// declareArchive declares what the plugin needs to archive. What it returns comes before the Cluster.
func (s *Server) declareArchive(ctx *pulumi.Context, name string, args Args, names names,
	parent pulumi.ResourceOption) (ready []pulumi.ResourceOption, err error) {
	bucket := args.Args.Archive.Bucket
	if err := bucket.Allow(ctx, name+"-bucket", s.Pods, "archives its log", parent); err != nil {
		return nil, err
	}
	client, err := bucket.NewClient(ctx, name+"-archive", storage.ClientArgs{
		Namespace: args.Namespace, App: names.cluster, Secret: names.archive, Folder: args.Args.Archive.Folder,
	}, parent)
	if err != nil {
		return nil, err
	}
	key := func(key string) pulumi.Map {
		return pulumi.Map{"name": pulumi.String(names.archive), "key": pulumi.String(key)}
	}
	configuration := pulumi.Map{
		"destinationPath": pulumi.Sprintf("s3://%s/%s/%s", bucket.Name, bucket.Path(args.Args.Archive.Folder),
			archiveFolder),
		"endpointURL": bucket.Endpoint,
		"s3Credentials": pulumi.Map{"accessKeyId": key(storage.AccessKey),
			"secretAccessKey": key(storage.SecretKey)},
		"wal":  pulumi.Map{"compression": pulumi.String("gzip")},
		"data": pulumi.Map{"compression": pulumi.String("gzip")},
	}
	if bucket.Authorities != nil {
		configuration["endpointCA"] = key(storage.Authorities)
	}
	store, err := kube.NewObject(ctx, name+"-store", pluginAPIVersion, "ObjectStore", pulumi.Map{
		"metadata": args.Namespace.Meta(names.cluster, names.cluster, nil),
		"spec": pulumi.Map{
			"retentionPolicy": pulumi.String(fmt.Sprintf("%dd", args.Args.Archive.KeepDays)),
			"configuration":   configuration,
			"instanceSidecarConfiguration": pulumi.Map{
				"env": pulumi.Array{
					pulumi.Map{"name": pulumi.String("AWS_DEFAULT_REGION"), "value": bucket.Region},
					// A standby that is to take over asks the archive first, several times. While the store is away, five
					// attempts, as by default, cost 20 s each time.
					pulumi.Map{"name": pulumi.String("AWS_MAX_ATTEMPTS"), "value": pulumi.String("2")},
				},
				"resources": pulumi.ToMap(fields{"requests": fields{"cpu": "20m", "memory": "64Mi"},
					"limits": fields{"cpu": "1", "memory": "256Mi"}}),
			},
		},
	}, parent, args.Namespace.Ready(), client.Ready(), args.Operator.Ready(),
		pulumi.RetainOnDelete(true)) // it knows from when on its servers can be restored
	if err != nil {
		return nil, err
	}
	return []pulumi.ResourceOption{pulumi.DependsOn([]pulumi.Resource{store}), bucket.Ready()}, nil
}

// declareBaseBackups declares the schedule of base backups. The first one is made immediately, so each new
// Cluster has a schedule of its own. Servers that are there already get the plugin one after the other, the
// primary last. A base backup before that fails, or begins in log that was not archived.
func (s *Server) declareBaseBackups(ctx *pulumi.Context, name string, args Args, names names,
	cluster *kube.Object, parent pulumi.ResourceOption) error {
	archive := args.Settings.Archive
	schedule := archive.Schedule
	if !strings.HasPrefix(schedule, "@") {
		schedule = "0 " + schedule // seconds
	}
	meta := args.Namespace.Meta(names.cluster, archive.Name, nil)
	if archive.Await != nil {
		meta.Name = cluster.ID().ApplyT(func(pulumi.ID) (string, error) {
			return archive.Name, archive.Await(ctx.Context())
		}).(pulumi.StringOutput)
	}
	_, err := kube.NewObject(ctx, name+"-base-backups", apiVersion, "ScheduledBackup", pulumi.Map{
		"metadata": meta,
		"spec": pulumi.ToMap(fields{
			"schedule": schedule, "immediate": true, "cluster": fields{"name": names.cluster},
			"method": "plugin", "pluginConfiguration": fields{"name": plugin},
			"backupOwnerReference": "cluster",
		}),
	}, parent, args.Namespace.Ready(), s.Ready())
	return err
}

// archivedSpec adds the plugin to the spec of a Cluster.
func archivedSpec(spec fields, args Args, names names) {
	spec["plugins"] = []fields{{"name": plugin, "isWALArchiver": true, "parameters": fields{
		"barmanObjectName": names.cluster, "serverName": args.Settings.Archive.Name}}}
	parameters := spec["postgresql"].(fields)["parameters"].(map[string]string)
	parameters["archive_timeout"] = fmt.Sprintf("%ds", int(args.Args.Archive.Timeout.Seconds()))
}

// recover declares a Cluster of one server, with the database as it was. It lasts as long as it is asked for.
func (s *Server) recover(ctx *pulumi.Context, name string, args Args, names names, secrets []pulumi.Resource,
	parent pulumi.ResourceOption) error {
	recovery := args.Settings.Archive.Recovery
	if recovery == nil {
		return nil
	}
	args.Instances = 1
	cluster := RecoveredName(args.Prefix, recovery.Until)
	recovered := &server.Server{
		Database: args.Database,
		Address:  pulumi.String(fmt.Sprintf("%s-rw:%d", cluster, server.Port)).ToStringOutput(),
		Pods: kube.Pods{
			Namespace: args.Namespace, Labels: map[string]string{"app": names.cluster + "-recovered"},
		},
	}
	spec, err := clusterSpec(args, names, recovered.Pods)
	if err != nil {
		return err
	}
	bootstrap := fields{"source": "archive", "database": args.Database, "owner": args.Database,
		"secret": fields{"name": names.roleSecret("owner")}}
	if !recovery.Until.IsZero() {
		bootstrap["recoveryTarget"] = fields{"targetTime": recovery.Until.UTC().Format(time.RFC3339Nano)}
	}
	spec["bootstrap"] = fields{"recovery": bootstrap}
	spec["externalClusters"] = []fields{{"name": "archive", "plugin": fields{"name": plugin,
		"parameters": fields{"barmanObjectName": names.cluster, "serverName": recovery.From}}}}
	if err := allowOperator(ctx, name+"-recovered", args, recovered.Pods, parent); err != nil {
		return err
	}
	err = args.Args.Archive.Bucket.Allow(ctx, name+"-recovered-bucket", recovered.Pods, "reads the archive",
		parent)
	if err != nil {
		return err
	}
	meta := args.Namespace.Meta(names.cluster, cluster, nil)
	kube.Annotate(meta, "pulumi.com/waitFor", "condition=Ready")
	declared, err := kube.NewObject(ctx, name+"-recovered", apiVersion, "Cluster",
		pulumi.Map{"metadata": meta, "spec": pulumi.ToMap(spec)}, parent, args.Namespace.Ready(), s.Ready(),
		pulumi.DependsOn(secrets),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "60m"}),
		// The archive may have expired since.
		pulumi.IgnoreChanges([]string{"spec.bootstrap", "spec.externalClusters"}))
	if err != nil {
		return err
	}
	after := recovered.After(declared)
	s.Recovered = &after
	return nil
}
