package statefulset

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	// FirstTemplate is the template of the claim that a database begins with, whatever its version.
	FirstTemplate = "data"
	// Container is the server's.
	Container = "postgres"
	// ImageAnnotation of the StatefulSet has the image that the server's is made from, and OldImageAnnotation
	// the one of the version that the data has moved from. On a claim it has the image that wrote the data.
	ImageAnnotation    = "stateful-k3s/postgres-image"
	OldImageAnnotation = "stateful-k3s/postgres-old-image"
	// LeftAnnotation of a claim says that its database has gone back to an older version.
	LeftAnnotation = "stateful-k3s/postgres-left"
)

const (
	oldVolume = "old"
	oldDir    = "/old"
	// moverMemory is for the program that moves the data, beside the server.
	moverMemory = "256Mi"
)

// Version says which major version the server has, and where its data comes from. The zero value is for a
// database that has never moved.
type Version struct {
	// Image is the image that the server's is made from, for the next update to know; optional.
	Image string
	// Template is the name of the claim's template, FirstTemplate by default.
	Template string
	// Old is the older version that the data moves from, or has moved from; nil for none.
	Old *Old
	// Rehearse declares what has to succeed before the old server is stopped; nil for nothing.
	Rehearse func(server.Server, Rehearsal) (pulumi.Resource, error)
}

// Old is an older version.
type Old struct {
	// Image is the image of its server, and Claim has its data.
	Image, Claim string
	// Out and In are images of the backups' program, with the old and the new version of Postgres.
	Out, In pulumi.StringInput
	// Timeout is how long the move may take.
	Timeout time.Duration
}

// Rehearsal is a container that fails if the server's image does not start with its parameters, and what it
// mounts.
type Rehearsal struct {
	Container corev1.ContainerArgs
	Volumes   corev1.VolumeArray
	// InPlace says that pg_upgrade changes the data where it is.
	InPlace bool
}

// Template is the template of the claims that data moves to with a new major version.
func Template(major int) string { return fmt.Sprintf("%s-%d", FirstTemplate, major) }

// TemplateMajor returns the major version of a template that Template has named; 0 for others.
func TemplateMajor(template string) int {
	number, is := strings.CutPrefix(template, FirstTemplate+"-")
	major, err := strconv.Atoi(number)
	if !is || err != nil || Template(major) != template {
		return 0
	}
	return major
}

// Name is the name of the StatefulSet whose objects have a prefix.
func Name(prefix string) string { return newNames(prefix).statefulSet }

// Claim is the name of the claim that the server whose objects have a prefix begins with.
func Claim(prefix string) string {
	return kube.ClaimNames(FirstTemplate, newNames(prefix).statefulSet, 1)[0]
}

func (v Version) annotations() map[string]string {
	annotations := map[string]string{}
	if v.Image != "" {
		annotations[ImageAnnotation] = v.Image
	}
	if v.Old != nil {
		annotations[OldImageAnnotation] = v.Old.Image
	}
	return annotations
}

// UnmarkedMajor is the major version of the data on a claim of FirstTemplate without an ImageAnnotation.
const UnmarkedMajor = 17

// marked says on the claim which version its data is of, where its name does not: after a destroy the claim
// is all there is. It is the same for each minor version, for a change would replace the StatefulSet.
func (v Version) marked(claim corev1.PersistentVolumeClaimTypeArgs) corev1.PersistentVolumeClaimTypeArgs {
	major, _ := strconv.Atoi(server.Major(v.Image))
	if v.Template == FirstTemplate && major > UnmarkedMajor {
		metadata := claim.Metadata.(metav1.ObjectMetaArgs)
		image := server.OfficialImage(strconv.Itoa(major))
		metadata.Annotations = pulumi.StringMap{ImageAnnotation: pulumi.String(image)}
		claim.Metadata = metadata
	}
	return claim
}

// timeout lets Pulumi wait for a move.
func (v Version) timeout() pulumi.ResourceOption {
	if v.Old == nil {
		return pulumi.Composite()
	}
	long := (v.Old.Timeout + 10*time.Minute).String()
	return pulumi.Timeouts(&pulumi.CustomTimeouts{Create: long, Update: long})
}

// move returns the containers around setup that move the data from the old version's claim. The server starts
// only after them, so that nobody uses the data meanwhile. Once it has moved, they find nothing to do.
func (v Version) move(args Args) (before, after corev1.ContainerArray, volumes corev1.VolumeArray) {
	if v.Old == nil {
		return nil, nil, nil
	}
	container := func(name string, image pulumi.StringInput,
		more ...corev1.VolumeMountInput) corev1.ContainerArgs {
		memory := resource.MustParse(args.Memory) // it was checked
		memory.Add(resource.MustParse(moverMemory))
		resources := serverResources(args)
		resources.Memory = memory.String()
		return kube.Container(server.User, resources, corev1.ContainerArgs{
			Name:  pulumi.String(name),
			Image: image,
			Args:  pulumi.ToStringArray([]string{name}),
			Env: corev1.EnvVarArray{
				kube.Env("OLD_VOLUME", oldDir), kube.Env("VOLUME", dataDir), kube.Env("SOCKET_DIR", socketDir),
				kube.Env("CONFIG_FILE", configDir+"/postgresql.conf"), kube.Env("DATABASE", args.Database),
				kube.Env("TERMINATION_LOG", kube.TerminationLog),
			},
			VolumeMounts:             append(serverMounts(args), more...),
			TerminationMessagePath:   pulumi.String(kube.TerminationLog),
			TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
		})
	}
	return corev1.ContainerArray{container("move-out", v.Old.Out, kube.Mount(oldVolume, oldDir))},
		corev1.ContainerArray{container("move-in", v.Old.In)},
		corev1.VolumeArray{corev1.VolumeArgs{Name: pulumi.String(oldVolume),
			PersistentVolumeClaim: corev1.PersistentVolumeClaimVolumeSourceArgs{
				ClaimName: pulumi.String(v.Old.Claim)}}}
}

// tryServer starts the server for a moment, without clients. Its options are the script's arguments.
const tryServer = `set -eu
initdb --pgdata "$PGDATA" --username postgres --set huge_pages=off --no-sync --no-instructions >/dev/null
postgres --single -D "$PGDATA" "$@" -c data_directory="$PGDATA" -c ssl=off postgres </dev/null`

func rehearsalOf(args Args) Rehearsal {
	rehearsal := NewRehearsal(args, map[string]string{"config_file": configDir + "/postgresql.conf"})
	rehearsal.Container.VolumeMounts = append(rehearsal.Container.VolumeMounts.(corev1.VolumeMountArray),
		kube.ReadOnly("config", configDir))
	rehearsal.Volumes = append(rehearsal.Volumes, configVolume(newNames(args.Prefix)))
	return rehearsal
}

// NewRehearsal returns a Rehearsal of the server's image with parameters.
func NewRehearsal(args Args, parameters map[string]string) Rehearsal {
	const folder = "rehearsal"
	command := []string{"sh", "-c", tryServer, "sh"}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		command = append(command, "-c", name+"="+parameters[name])
	}
	return Rehearsal{
		Container: kube.Container(server.User, serverResources(args), corev1.ContainerArgs{
			Name:    pulumi.String("parameters"),
			Image:   args.Image,
			Command: pulumi.ToStringArray(command),
			Env:     corev1.EnvVarArray{kube.Env("PGDATA", "/"+folder+"/data")},

			VolumeMounts:             corev1.VolumeMountArray{kube.Mount(folder, "/"+folder)},
			TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
		}),
		Volumes: corev1.VolumeArray{
			corev1.VolumeArgs{Name: pulumi.String(folder), EmptyDir: corev1.EmptyDirVolumeSourceArgs{}},
		},
	}
}
