package statefulset

import (
	"fmt"
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
	archiver     = "archiver"
	archiverTemp = "/tmp"
)

// Archive keeps a server's write-ahead log and base backups. With them the server can be restored to any
// second. The server does not wait for it. Its Image must contain the archiver. All but Passphrase is
// required.
type Archive struct {
	// Bucket keeps the archive in Folder.
	Bucket storage.Bucket
	Folder pulumi.StringInput
	// Timeout bounds the period of changes that are lost with the server's volume, in whole seconds.
	Timeout time.Duration
	// KeepDays is how many days back the server can be restored.
	KeepDays int
	// Passphrase encrypts the archive; nil for none. A new one starts a new archive, beside the old one.
	Passphrase pulumi.StringInput
}

// parameters returns the parameters for archiving. The stack's settings cannot change them, with or without
// an archive.
func (a *Archive) parameters() Parameters {
	parameters := Parameters{"archive_mode": "off", "archive_command": "", "archive_library": "",
		"archive_timeout": "0", "wal_level": "replica"}
	if a != nil {
		parameters["archive_mode"] = "on"
		parameters["archive_command"] = "archiver push %p # pgbackrest looks for its name here"
		parameters["archive_timeout"] = fmt.Sprintf("%ds", int(a.Timeout.Seconds()))
	}
	return parameters
}

// declare declares the Secret that the server's pod needs to archive, and lets it connect to the bucket.
func (a *Archive) declare(ctx *pulumi.Context, name string, names names, pods kube.Pods,
	parent pulumi.ResourceOption) (*storage.Client, error) {
	if err := a.Bucket.Allow(ctx, name+"-bucket", pods, "archives its log", parent); err != nil {
		return nil, err
	}
	return a.Bucket.NewClient(ctx, name+"-archive", storage.ClientArgs{
		Namespace: pods.Namespace, App: names.app, Secret: names.archive, Folder: a.Folder,
		Passphrase: a.Passphrase,
	}, parent)
}

// archiveQueue limits the log that may wait for the bucket to an eighth of the volume.
func archiveQueue(args Args) corev1.EnvVarArgs {
	storage, _ := parseBytes("StorageSize", args.StorageSize) // it was checked
	return kube.Env("ARCHIVE_QUEUE", fmt.Sprintf("%dMiB", clamp(storage/8, 32*megabyte, 16*gigabyte)/megabyte))
}

func (a *Archive) required() map[string]bool {
	if a == nil {
		return nil
	}
	required := map[string]bool{"Archive.Timeout": a.Timeout >= time.Second, "Archive.KeepDays": a.KeepDays > 0,
		"Archive.Folder": a.Folder != nil}
	for name, given := range a.Bucket.Required() {
		required["Archive."+name] = given
	}
	return required
}

// archiverContainer returns the container that makes base backups.
func archiverContainer(args Args, client *storage.Client) corev1.ContainerArgs {
	resources := kube.Resources{CPU: "10m", CPULimit: "1", Memory: "128Mi"}
	return kube.Container(server.User, resources, corev1.ContainerArgs{
		Name:    pulumi.String(archiver),
		Image:   args.Image,
		Command: pulumi.ToStringArray([]string{archiver, "run"}),
		Env: append(slices.Clone(client.Env),
			kube.Env("PGDATA", pgdata),
			kube.Env("PGHOST", socketDir),
			kube.Env("PGUSER", "postgres"),
			kube.Env("ARCHIVE_KEEP_DAYS", strconv.Itoa(args.Archive.KeepDays)),
		),
		VolumeMounts: corev1.VolumeMountArray{
			kube.ReadOnly(args.Version.Template, dataDir),
			kube.ReadOnly("socket", socketDir),
			kube.Mount(archiver, archiverTemp),
			client.Mount,
		},
	})
}
