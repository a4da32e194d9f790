// Package image builds images and pushes them.
package image

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/distribution/reference"
	"github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// defaultContext is the repository: the program runs in infra/.
	defaultContext = ".."

	// The image is reproducible, byte for byte. The SDK has no field for rewrite-timestamp.
	export = "type=registry,oci-mediatypes=true,rewrite-timestamp=true"
	// epoch is the time of the image and of all its files, in Unix seconds.
	epoch = "0"
)

// Args says how an image is built and where it is pushed. Only Registry and Tag are required.
type Args struct {
	// Context is the directory that the image is built from, with its Dockerfile; .. by default. A relative path
	// keeps the state the same on every machine.
	Context string
	// Registry is the registry's host and the path of its images, such as registry.example.com/team.
	Registry string
	// Target is the image's stage in the Dockerfile; empty for the last one.
	Target string
	// BuildArgs are arguments of the Dockerfile.
	BuildArgs map[string]string
	// Platforms are what the image is for, such as linux/arm64. If empty, they stay as in the last build, and
	// in a first build are the builder's own.
	Platforms []string
	// Tag is the tag that each build moves. Pods name images by digest.
	Tag string
	// Username and Password log in to the registry. Without a Username, the credentials of Docker's own
	// configuration are used.
	Username string
	Password pulumi.StringInput
	// Builder is the name of a buildx builder. If it is empty, the docker-build plugin chooses.
	Builder string
	// Rebuild builds and pushes the image even if nothing has changed, because the registry has lost it.
	Rebuild bool
}

// rebuildArg is a build argument that the Dockerfile does not use. A new value makes Pulumi build the image.
const rebuildArg = "STATEFUL_K3S_AGAIN"

// New declares the image, whose repository has its name, and returns its repository:tag@digest. Deleting it
// from the stack leaves it in the registry.
func New(ctx *pulumi.Context, name string, args Args,
	opts ...pulumi.ResourceOption) (pulumi.StringOutput, error) {
	tagged, err := reference.ParseNamed(fmt.Sprintf("%s/%s:%s", args.Registry, name, args.Tag))
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("naming image %s: %w", name, err)
	}
	buildArgs := pulumi.StringMap{"SOURCE_DATE_EPOCH": pulumi.String(epoch)}
	for arg, value := range args.BuildArgs {
		buildArgs[arg] = pulumi.String(value)
	}
	context := cmp.Or(args.Context, defaultContext)
	build := &dockerbuild.ImageArgs{
		Context:        &dockerbuild.BuildContextArgs{Location: pulumi.String(context)},
		Dockerfile:     &dockerbuild.DockerfileArgs{Location: pulumi.String(context + "/Dockerfile")},
		Target:         pulumi.String(args.Target),
		BuildArgs:      buildArgs,
		Tags:           pulumi.ToStringArray([]string{tagged.String()}),
		Exports:        dockerbuild.ExportArray{dockerbuild.ExportArgs{Raw: pulumi.String(export)}},
		Push:           pulumi.Bool(false), // the export pushes
		BuildOnPreview: pulumi.Bool(false),
	}
	if len(args.Platforms) == 0 {
		opts = append(slices.Clip(opts), pulumi.IgnoreChanges([]string{"platforms"}))
	} else {
		platforms := dockerbuild.PlatformArray{}
		for _, platform := range args.Platforms {
			platforms = append(platforms, dockerbuild.Platform(platform))
		}
		build.Platforms = platforms
	}
	if args.Builder != "" {
		build.Builder = dockerbuild.BuilderConfigArgs{Name: pulumi.String(args.Builder)}
	}
	if args.Username != "" {
		build.Registries = dockerbuild.RegistryArray{dockerbuild.RegistryArgs{
			Address:  pulumi.String(reference.Domain(tagged)),
			Username: pulumi.String(args.Username),
			Password: pulumi.ToSecret(args.Password).(pulumi.StringOutput),
		}}
	}
	if args.Rebuild {
		buildArgs[rebuildArg] = pulumi.String(rand.Text())
	} else {
		opts = append(slices.Clip(opts), pulumi.IgnoreChanges([]string{"buildArgs." + rebuildArg}))
	}
	image, err := dockerbuild.NewImage(ctx, name, build, append(opts, pulumi.RetainOnDelete(true))...)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("declaring image %s: %w", name, err)
	}
	return image.Ref, nil
}
