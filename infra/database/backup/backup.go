// Package backup declares the backups of a database: one when the stack comes up, and one for each time of a
// schedule. Each is proven by restoring it.
package backup

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

const (
	// program is the container of the program.
	program = "backup"

	scratchDir = "/scratch"
	serverDir  = "/server"
	// throwaway is the container, the command and the volume of the servers that backups are restored into.
	throwaway = "server"

	// startingDeadline is how late a scheduled backup may start, for instance after a night without power.
	startingDeadline = 12 * time.Hour
	// programMemory is the limit of everything but the throwaway server.
	programMemory = "256Mi"
	// pauses has room for Kubernetes' pauses between a Job's attempts and for the start of their pods.
	pauses = 10 * time.Minute
)

// Settings are the same for every database.
type Settings struct {
	// Schedule is a cron expression, 0 2 * * * by default, in TimeZone, a name of the time zone database, which
	// is Etc/UTC by default.
	Schedule, TimeZone string
	// KeepDaily, KeepWeekly and KeepMonthly are how many days, weeks and months keep a backup.
	KeepDaily, KeepWeekly, KeepMonthly int
	// ScratchSize is the size of the volume for dumps and of the volume for restored servers, a Kubernetes
	// quantity, 4Gi by default.
	ScratchSize string
	// Memory is the limit of the server that a backup is restored into, a Kubernetes quantity, 512Mi by default.
	Memory string
	// Compression is the level of zstd, 1 to 19, and 3 by default.
	Compression int
	// Recipient is the public key of age that dumps are encrypted to; empty for none.
	Recipient string
	// Timeout is how long one attempt may take, an hour by default.
	Timeout time.Duration
	// Heartbeat is told of each backup; nil for nothing.
	Heartbeat *Heartbeat
}

// Args describes the backups of a database. Prefix, ArchivePassphrase, Restore and Recipient are optional,
// and each Keep may be 0.
type Args struct {
	// Namespace is also the namespace of the server.
	Namespace *kube.Namespace
	// Prefix precedes the names of the objects. Databases of one namespace need different ones.
	Prefix string
	Image  pulumi.StringInput
	Server server.Server
	// Bucket keeps the backups in Folder.
	Bucket storage.Bucket
	Folder pulumi.StringInput
	// ArchivePassphrase decrypts the database's archive in the same folder; nil if it is not encrypted.
	ArchivePassphrase pulumi.StringInput
	// Restore is restored before anything else uses the database; nil for nothing.
	Restore *Restore
	Settings
}

// Backup is the component.
type Backup struct {
	pulumi.ResourceState

	// Location is the URL of the backups' folder.
	Location pulumi.StringOutput `pulumi:"location"`
	// Server is the server of Args, ready once the database is restored.
	Server server.Server
	// Metrics are the backups'.
	Metrics kube.Metrics
}

// New declares a Job, a CronJob, and a pod with metrics of the backups in the bucket. Pulumi waits until the
// Job has made a verified backup. A change of its pods' template, such as a new image, replaces the Job, and
// so does its failure. With Restore, another Job restores the database first.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Backup, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("backup %s: %w", name, err)
	}
	b := &Backup{}
	inputs := pulumi.Map{"namespace": pulumi.String(args.Namespace.Name)}
	err := ctx.RegisterComponentResourceV2("stateful-k3s:backup:Backup", name, inputs, b, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring backup %s: %w", name, err)
	}
	if err := b.declare(ctx, name, args); err != nil {
		return nil, fmt.Errorf("backup %s: %w", name, err)
	}
	return b, nil
}

func (b *Backup) declare(ctx *pulumi.Context, name string, args Args) error {
	parent := pulumi.Parent(b)
	bucket, err := args.Bucket.NewClient(ctx, name+"-secret", storage.ClientArgs{
		Namespace: args.Namespace, App: args.name(), Secret: args.name(), Folder: args.Folder,
		Passphrase: args.ArchivePassphrase,
	}, parent)
	if err != nil {
		return err
	}

	if args.Restore != nil {
		restored, err := declareRestore(ctx, name+"-restore", args, bucket, parent)
		if err != nil {
			return err
		}
		args.Server = args.Server.After(restored)
	}
	b.Server = args.Server
	run := work{command: "run", bucket: bucket, database: args.Server.Reader}
	ready, err := args.Heartbeat.declare(ctx, name+"-heartbeat", args, &run, parent)
	if err != nil {
		return err
	}
	job := newJob(args, args.name(), podSpec(args, run))
	if err := allow(ctx, name, args, job, "backs up the database", parent); err != nil {
		return err
	}
	schedule := kube.Schedule{Cron: args.Schedule, TimeZone: args.TimeZone, StartingDeadline: startingDeadline}
	interval, err := schedule.Interval()
	if err != nil {
		return err
	}
	metrics := metricsApp(args, bucket, interval)
	b.Metrics = metrics.Metrics()
	b.Metrics.Job = "backup-metrics"
	if err := args.Bucket.Allow(ctx, name+"-metrics-bucket", metrics.Pods(),
		"measures what backups there are", parent); err != nil {
		return err
	}

	if _, err := job.Declare(ctx, name+"-job", parent, bucket.Ready(), ready, args.Server.Ready(),
		args.Bucket.Ready()); err != nil {
		return err
	}
	if err := job.DeclareCron(ctx, name+"-cronjob", schedule, parent, bucket.Ready(), ready,
		args.Server.Ready()); err != nil {
		return err
	}
	if _, err := metrics.Declare(ctx, name+"-metrics", parent, bucket.Ready(),
		args.Bucket.Ready()); err != nil {
		return err
	}
	b.Location = pulumi.Sprintf("%s/%s/%s", args.Bucket.Endpoint, args.Bucket.Name,
		args.Bucket.Path(args.Folder))
	return ctx.RegisterResourceOutputs(b, pulumi.Map{"location": b.Location})
}

// name is the name of Job, CronJob and Secret, and the label of their pods.
func (a *Args) name() string { return a.Prefix + "backup" }

func newJob(args Args, name string, spec corev1.PodSpecArgs) kube.Job {
	return kube.Job{
		Namespace:         args.Namespace,
		Name:              name,
		FSGroup:           server.User,
		Spec:              spec,
		FailFastContainer: program,
		Deadline:          kube.DefaultAttempts*args.Timeout + pauses,
	}
}

// allow lets the pods of a job connect to the database and to the bucket.
func allow(ctx *pulumi.Context, name string, args Args, job kube.Job, why string,
	parent pulumi.ResourceOption) error {
	err := kube.Allow(ctx, name+"-database", kube.Connection{
		From: job.Pods(), To: args.Server.Pods, Port: server.Port, Why: why,
	}, parent)
	if err != nil {
		return err
	}
	return args.Bucket.Allow(ctx, name+"-bucket", job.Pods(), why, parent)
}

// work is a command of the program, and what its pod needs in addition to the settings.
type work struct {
	command  string
	bucket   *storage.Client
	database server.Client
	env      corev1.EnvVarArray
	volumes  corev1.VolumeArray
	mounts   corev1.VolumeMountArray
}

// podSpec has two containers: one for the program, with all keys, and one for the throwaway servers. A
// restored database may run any code in the second one. That code sees only the servers' files, and no
// process of the program.
func podSpec(args Args, work work) corev1.PodSpecArgs {
	env := append(slices.Clone(work.bucket.Env),
		work.database.Env,
		kube.Env("SCRATCH_DIR", scratchDir),
		kube.Env("SERVER_DIR", serverDir),
		kube.Env("HOME", scratchDir),
		kube.Env("TMPDIR", scratchDir),
		kube.Env("COMPRESSION_LEVEL", strconv.Itoa(args.Compression)),
		kube.Env("KEEP_DAILY", strconv.Itoa(args.KeepDaily)),
		kube.Env("KEEP_WEEKLY", strconv.Itoa(args.KeepWeekly)),
		kube.Env("KEEP_MONTHLY", strconv.Itoa(args.KeepMonthly)),
		kube.Env("TIMEOUT", args.Timeout.String()),
		kube.Env("TERMINATION_LOG", kube.TerminationLog),
	)
	if args.Recipient != "" {
		env = append(env, kube.Env("AGE_RECIPIENT", args.Recipient))
	}
	mounts := corev1.VolumeMountArray{
		kube.Mount("scratch", scratchDir),
		kube.Mount(throwaway, serverDir),
		work.bucket.Mount,
		work.database.Mount,
	}
	volume := func(name string) corev1.VolumeArgs {
		return corev1.VolumeArgs{Name: pulumi.String(name),
			EmptyDir: corev1.EmptyDirVolumeSourceArgs{SizeLimit: pulumi.String(args.ScratchSize)}}
	}
	return corev1.PodSpecArgs{
		InitContainers: corev1.ContainerArray{
			kube.Container(server.User, kube.Resources{CPU: "50m", CPULimit: "2", Memory: args.Memory,
				Disk: args.ScratchSize}, corev1.ContainerArgs{
				Name:          pulumi.String(throwaway),
				Image:         args.Image,
				Args:          pulumi.ToStringArray([]string{throwaway}),
				Env:           corev1.EnvVarArray{kube.Env("SERVER_DIR", serverDir)},
				VolumeMounts:  corev1.VolumeMountArray{kube.Mount(throwaway, serverDir)},
				RestartPolicy: pulumi.String("Always"), // a sidecar

				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
			}),
		},
		Containers: corev1.ContainerArray{
			kube.Container(server.User, kube.Resources{CPU: "50m", CPULimit: "2", Memory: programMemory,
				Disk: args.ScratchSize}, corev1.ContainerArgs{
				Name:                     pulumi.String(program),
				Image:                    args.Image,
				Args:                     pulumi.ToStringArray([]string{work.command}),
				Env:                      append(env, work.env...),
				VolumeMounts:             append(mounts, work.mounts...),
				TerminationMessagePath:   pulumi.String(kube.TerminationLog),
				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
			}),
		},
		Volumes: append(corev1.VolumeArray{volume("scratch"), volume(throwaway), work.bucket.Volume,
			work.database.Volume}, work.volumes...),
	}
}

func metricsApp(args Args, bucket *storage.Client, interval time.Duration) kube.WebApp {
	return kube.WebApp{
		Namespace: args.Namespace,
		Name:      args.name() + "-metrics",
		Image:     args.Image,
		Args:      pulumi.StringArray{pulumi.String("metrics")},
		Replicas:  1,
		Memory:    "64Mi",
		Env:       append(slices.Clone(bucket.Env), kube.Env("SCHEDULE_INTERVAL", interval.String())),
		Volumes:   corev1.VolumeArray{bucket.Volume},
		Mounts:    corev1.VolumeMountArray{bucket.Mount},
	}
}

// check sets defaults.
func (a *Args) check() error {
	a.Schedule, a.TimeZone = cmp.Or(a.Schedule, "0 2 * * *"), cmp.Or(a.TimeZone, "Etc/UTC")
	a.ScratchSize, a.Memory = cmp.Or(a.ScratchSize, "4Gi"), cmp.Or(a.Memory, "512Mi")
	a.Compression, a.Timeout = cmp.Or(a.Compression, 3), cmp.Or(a.Timeout, time.Hour)
	required := map[string]bool{
		"Namespace": a.Namespace != nil, "Image": a.Image != nil, "Server": a.Server.Database != "",
		"Folder":        a.Folder != nil,
		"Restore.From":  a.Restore == nil || a.Restore.From != nil,
		"Heartbeat.URL": a.Heartbeat == nil || a.Heartbeat.URL != nil,
	}
	maps.Copy(required, a.Bucket.Required())
	return kube.Missing(required)
}
