// Package backup makes backups of a database: one when the stack comes up, others by a schedule. Each is
// proven by restoring it.
package backup

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

const (
	app     = "backup"
	metrics = "backup-metrics"

	// user is postgres in the official image, which can start no server as a user without a name.
	user = 999

	scratchDir = "/scratch"
	serverDir  = "/server"
	server     = "server"

	// startingDeadline is how late a backup may still be made, such as after a night without power.
	startingDeadline = 12 * time.Hour
	// programMemory is for all but the throwaway server.
	programMemory = "256Mi"
	// pauses is more than what Kubernetes waits between the tries of a Job, and what it takes to start their
	// pods.
	pauses = 10 * time.Minute
)

// Settings are those of every database.
type Settings struct {
	// Schedule is a cron expression, in TimeZone, which is a name of the time zone database such as Etc/UTC.
	Schedule, TimeZone string
	// KeepDaily, KeepWeekly and KeepMonthly are how many backups of different days, weeks and months are kept.
	KeepDaily, KeepWeekly, KeepMonthly int
	// ScratchSize is the size of the volume on which a backup is restored, and of that of dumps, a Kubernetes
	// quantity.
	ScratchSize string
	// Memory is the limit of the server that a backup is restored into, a Kubernetes quantity.
	Memory string
	// Compression is the level of zstd, 1 to 19.
	Compression int
	// Recipient is age's public key that dumps are encrypted to; empty for none.
	Recipient string
	// Timeout is how long one try may take.
	Timeout time.Duration
}

// Args describes the backups of a database. All but Restore and Recipient is required, but none of a day,
// week or month may be kept.
type Args struct {
	// Namespace is that of the database too.
	Namespace *kube.Namespace
	Image     pulumi.StringInput
	Database  postgres.Database
	// Bucket keeps the backups, in a folder of the namespace's name.
	Bucket storage.Bucket
	// ArchivePassphrase opens the archive of the database, which is in the same folder; nil if it is not
	// encrypted.
	ArchivePassphrase pulumi.StringInput
	// Restore is what the database is restored from before anybody else uses it; nil for nothing.
	Restore *Restore
	Settings
}

// Backup is the component.
type Backup struct {
	pulumi.ResourceState

	// Location is the URL below which the backups are.
	Location pulumi.StringOutput `pulumi:"location"`
	// Database is the one of Args, ready once it is restored.
	Database postgres.Database
}

// New declares a Job, which is there once it has made a verified backup, a CronJob, and a pod that serves
// metrics of what the bucket holds. The Job makes another backup, in place of the one before, when the image
// or a setting in its pods' template changes, and if it failed. If there is something to restore, another Job
// does that first.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Backup, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("backup %s: %w", name, err)
	}
	b := &Backup{}
	if err := ctx.RegisterComponentResourceV2("stateful-k3s:backup:Backup", name, args.inputs(), b,
		opts...); err != nil {
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
		Namespace: args.Namespace, App: app, Secret: app, Passphrase: args.ArchivePassphrase,
	}, parent)
	if err != nil {
		return err
	}

	if args.Restore != nil {
		restored, err := declareRestore(ctx, name+"-restore", args, bucket, parent)
		if err != nil {
			return err
		}
		args.Database = args.Database.After(restored)
	}
	b.Database = args.Database
	job := newJob(args, app, podSpec(args, work{command: "run", bucket: bucket, database: args.Database.Reader}))
	if err := allow(ctx, name, args, job, "backs up the database", parent); err != nil {
		return err
	}
	measuring := metricsApp(args, bucket)
	if err := args.Bucket.Allow(ctx, name+"-metrics-bucket", measuring.Pods(),
		"measures what backups there are", parent); err != nil {
		return err
	}

	if _, err := job.Declare(ctx, name+"-job", parent, bucket.Ready(), args.Database.Ready(),
		args.Bucket.Ready()); err != nil {
		return err
	}
	schedule := kube.Schedule{Cron: args.Schedule, TimeZone: args.TimeZone, StartingDeadline: startingDeadline}
	if err := job.DeclareCron(ctx, name+"-cronjob", schedule, parent, bucket.Ready()); err != nil {
		return err
	}
	if _, err := measuring.Declare(ctx, name+"-metrics", parent, bucket.Ready(),
		args.Bucket.Ready()); err != nil {
		return err
	}
	b.Location = pulumi.Sprintf("%s/%s/%s", args.Bucket.Endpoint, args.Bucket.Name,
		args.Bucket.Folder(args.Namespace))
	return ctx.RegisterResourceOutputs(b, pulumi.Map{"location": b.Location})
}

func newJob(args Args, name string, spec corev1.PodSpecArgs) kube.Job {
	return kube.Job{
		Namespace:         args.Namespace,
		Name:              name,
		FSGroup:           user,
		Spec:              spec,
		FailFastContainer: app,
		Deadline:          kube.DefaultAttempts*args.Timeout + pauses,
	}
}

// allow lets the pods of a job connect to the database and to the bucket, and says why.
func allow(ctx *pulumi.Context, name string, args Args, job kube.Job, why string,
	parent pulumi.ResourceOption) error {
	err := kube.Allow(ctx, name+"-database", kube.Connection{
		From: job.Pods(), To: args.Database.Pods, Port: postgres.Port, Why: why,
	}, parent)
	if err != nil {
		return err
	}
	return args.Bucket.Allow(ctx, name+"-bucket", job.Pods(), why, parent)
}

// work is what a pod does with the database, and what it needs for that.
type work struct {
	command  string
	bucket   *storage.Client
	database postgres.Client
	env      corev1.EnvVarArray
	volumes  corev1.VolumeArray
	mounts   corev1.VolumeMountArray
}

// podSpec has a container for the program, with all keys, and one for the servers that it restores into. Code
// in a database can do there what it likes: it sees nothing but the servers' own files, and no process of the
// program.
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
		kube.Mount(server, serverDir),
		work.bucket.Mount,
		work.database.Mount,
	}
	volume := func(name string) corev1.VolumeArgs {
		return corev1.VolumeArgs{Name: pulumi.String(name),
			EmptyDir: corev1.EmptyDirVolumeSourceArgs{SizeLimit: pulumi.String(args.ScratchSize)}}
	}
	return corev1.PodSpecArgs{
		InitContainers: corev1.ContainerArray{
			kube.Container(user, kube.Resources{CPU: "50m", CPULimit: "2", Memory: args.Memory,
				Disk: args.ScratchSize}, corev1.ContainerArgs{
				Name:          pulumi.String(server),
				Image:         args.Image,
				Args:          pulumi.ToStringArray([]string{server}),
				Env:           corev1.EnvVarArray{kube.Env("SERVER_DIR", serverDir)},
				VolumeMounts:  corev1.VolumeMountArray{kube.Mount(server, serverDir)},
				RestartPolicy: pulumi.String("Always"), // beside the others, and it ends when they have

				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
			}),
		},
		Containers: corev1.ContainerArray{
			kube.Container(user, kube.Resources{CPU: "50m", CPULimit: "2", Memory: programMemory,
				Disk: args.ScratchSize}, corev1.ContainerArgs{
				Name:                     pulumi.String(app),
				Image:                    args.Image,
				Args:                     pulumi.ToStringArray([]string{work.command}),
				Env:                      append(env, work.env...),
				VolumeMounts:             append(mounts, work.mounts...),
				TerminationMessagePath:   pulumi.String(kube.TerminationLog),
				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
			}),
		},
		Volumes: append(corev1.VolumeArray{volume("scratch"), volume(server), work.bucket.Volume,
			work.database.Volume}, work.volumes...),
	}
}

func metricsApp(args Args, bucket *storage.Client) kube.WebApp {
	return kube.WebApp{
		Namespace: args.Namespace,
		Name:      metrics,
		Image:     args.Image,
		Args:      pulumi.StringArray{pulumi.String("metrics")},
		Replicas:  1,
		Memory:    "64Mi",
		Env:       bucket.Env,
		Volumes:   corev1.VolumeArray{bucket.Volume},
		Mounts:    corev1.VolumeMountArray{bucket.Mount},
	}
}

func (a *Args) check() error {
	required := map[string]bool{
		"Namespace": a.Namespace != nil, "Image": a.Image != nil, "Database": a.Database.Name != "",
		"Schedule": a.Schedule != "", "TimeZone": a.TimeZone != "", "ScratchSize": a.ScratchSize != "",
		"Memory":      a.Memory != "",
		"Compression": a.Compression != 0, "Timeout": a.Timeout != 0, "Restore.From": a.Restore == nil ||
			a.Restore.From != "",
	}
	maps.Copy(required, a.Bucket.Required())
	return kube.Missing(required)
}

func (a *Args) inputs() pulumi.Map {
	inputs := pulumi.Map{
		"namespace":   pulumi.String(a.Namespace.Name),
		"image":       a.Image,
		"database":    a.Database.Address,
		"endpoint":    pulumi.String(a.Bucket.Endpoint),
		"region":      pulumi.String(a.Bucket.Region),
		"bucket":      pulumi.String(a.Bucket.Name),
		"prefix":      pulumi.String(a.Bucket.Prefix),
		"schedule":    pulumi.String(a.Schedule),
		"timeZone":    pulumi.String(a.TimeZone),
		"keepDaily":   pulumi.Int(a.KeepDaily),
		"keepWeekly":  pulumi.Int(a.KeepWeekly),
		"keepMonthly": pulumi.Int(a.KeepMonthly),
		"scratchSize": pulumi.String(a.ScratchSize),
		"memory":      pulumi.String(a.Memory),
		"compression": pulumi.Int(a.Compression),
		"recipient":   pulumi.String(a.Recipient),
		"timeout":     pulumi.String(a.Timeout.String()),
	}
	if a.Restore != nil {
		inputs["restoreFrom"] = pulumi.String(a.Restore.From)
		inputs["restoreOver"] = pulumi.Bool(a.Restore.Over)
	}
	return inputs
}
