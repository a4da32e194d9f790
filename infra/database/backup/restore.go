package backup

import (
	"fmt"
	"time"

	batchv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/batch/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

const (
	identityDir = "/run/secrets/restore"
	identity    = "identity"
)

// Restore says what a database is restored from.
type Restore struct {
	// From is latest (the newest backup of an earlier server), the name of a backup, a time in RFC 3339, end
	// (everything that an earlier server archived), or end- and the name of an archive.
	From pulumi.StringInput
	// Over allows a database that is not empty. Its content is backed up and then replaced.
	Over bool
	// Identity is the private key of age that decrypts the backups; nil if they are not encrypted.
	Identity pulumi.StringInput
	// Recovered has the database as it was then; nil if it is in the bucket. It takes the login of the server
	// that is restored.
	Recovered *server.Server
}

// Rehearse declares a Job that makes a backup before the server is stopped. The try has to succeed first. The
// Image has the server's own version: a newer pg_dump can write what no newer server takes. Each update has a
// Job of its own: clients may have written since the backup of one that was interrupted.
func Rehearse(ctx *pulumi.Context, name string, args Args, try statefulset.Rehearsal,
	opts ...pulumi.ResourceOption) (pulumi.Resource, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("rehearsal %s: %w", name, err)
	}
	upgrade := args.Prefix + "upgrade"
	parent := pulumi.Composite(opts...)
	bucket, err := args.Bucket.NewClient(ctx, name+"-secret", storage.ClientArgs{
		Namespace: args.Namespace, App: upgrade, Secret: upgrade, Folder: args.Folder,
	}, parent)
	if err != nil {
		return nil, err
	}
	work := work{command: "run", bucket: bucket, database: args.Server.Reader, volumes: try.Volumes,
		env: corev1.EnvVarArray{kube.Env("UPDATE", time.Now().UTC().Format(time.RFC3339Nano))}}
	if try.InPlace {
		work.command, work.database = "prepare-upgrade", args.Server.Restorer
	}
	spec := podSpec(args, work)
	spec.InitContainers = append(corev1.ContainerArray{try.Container},
		spec.InitContainers.(corev1.ContainerArray)...)
	job := newJob(args, upgrade, spec)
	if err := allow(ctx, name, args, job, "backs up the database before it moves", parent); err != nil {
		return nil, err
	}
	return job.Declare(ctx, name+"-job", parent, bucket.Ready(), args.Bucket.Ready())
}

// declareRestore declares the Job that restores the database once. The Job knows each request by an id: if
// the setting is removed and set again later, the id is a new one, because there may be new data.
func declareRestore(ctx *pulumi.Context, name string, args Args, bucket *storage.Client,
	parent pulumi.ResourceOption) (*batchv1.Job, error) {
	restoreName := args.Prefix + "restore"
	id, err := kube.NewRandomID(ctx, name+"-request", args.Restore.From, parent)
	if err != nil {
		return nil, err
	}
	after := []pulumi.ResourceOption{parent, bucket.Ready(), args.Server.Ready(), args.Bucket.Ready()}
	work := work{
		command:  "restore",
		bucket:   bucket,
		database: args.Server.Restorer,
		env: corev1.EnvVarArray{
			kube.EnvOf("RESTORE_FROM", args.Restore.From),
			kube.EnvOf("RESTORE_REQUEST", id),
		},
	}
	if args.Restore.Over {
		work.env = append(work.env, kube.Env("RESTORE_OVER", args.Server.Database))
	}
	if recovered := args.Restore.Recovered; recovered != nil {
		work.env = append(work.env, kube.EnvOf("RECOVERED_ADDRESS", recovered.Address))
		after = append(after, recovered.Ready())
	}
	if args.Restore.Identity != nil {
		key, err := kube.NewSecret(ctx, name+"-secret", kube.SecretArgs{
			Namespace: args.Namespace,
			App:       restoreName,
			Name:      restoreName,
			Data:      map[string]pulumi.StringInput{identity: args.Restore.Identity},
		}, parent)
		if err != nil {
			return nil, err
		}
		after = append(after, pulumi.DependsOn([]pulumi.Resource{key}))
		work.env = append(work.env, kube.Env("AGE_IDENTITY_FILE", identityDir+"/"+identity))
		work.volumes = corev1.VolumeArray{kube.SecretVolume(identity, restoreName, 0o444,
			map[string]string{identity: identity})}
		work.mounts = corev1.VolumeMountArray{kube.ReadOnly(identity, identityDir)}
	}
	job := newJob(args, restoreName, podSpec(args, work))
	job.MaxAttempts = 1 // the program retries by itself, and the user should soon see what it refuses
	if err := allow(ctx, name, args, job, "restores the database", parent); err != nil {
		return nil, err
	}
	if recovered := args.Restore.Recovered; recovered != nil {
		if err := kube.Allow(ctx, name+"-recovered", kube.Connection{From: job.Pods(), To: recovered.Pods,
			Port: server.Port, Why: "reads the database as it was"}, parent); err != nil {
			return nil, err
		}
	}
	return job.Declare(ctx, name+"-job", after...)
}
