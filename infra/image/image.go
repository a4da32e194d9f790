// Package image builds the app images from the one Dockerfile and pushes them.
package image

import (
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/distribution/reference"
	"github.com/pulumi/pulumi-docker-build/sdk/go/dockerbuild"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// The program runs in infra/. Relative paths keep the state the same on every machine.
	contextDir = ".."
	dockerfile = "../Dockerfile"

	// Every byte of the image follows from its sources. The SDK has no field for rewrite-timestamp.
	export = "type=registry,oci-mediatypes=true,rewrite-timestamp=true"
	// epoch is the time that all files and the image itself carry, in Unix seconds.
	epoch = "0"
)

// Args says how images are built and where they go.
type Args struct {
	// Registry is the registry's host with the path below which images are, such as registry.example.com/team.
	Registry string
	// BuildArgs are arguments of the Dockerfile.
	BuildArgs map[string]string
	// Tag is the tag that each build moves. Pods name images by digest.
	Tag string
	// Username and Password log in to the registry. Without a Username, the credentials of Docker's own
	// configuration are used.
	Username string
	Password pulumi.StringInput
	// Builder is the name of a buildx builder; empty leaves the choice to the docker-build plugin.
	Builder string
	// Again has it built and pushed although nothing has changed: the registry has lost it.
	Again bool
}

// again is an argument that no Dockerfile has. The image is built when its value changes, which it keeps
// otherwise.
const again = "STATEFUL_K3S_AGAIN"

// New declares the image of an app, which is the Dockerfile's target of that name, and returns its
// repository:tag@digest. Deleting it from the stack leaves it in the registry.
func New(ctx *pulumi.Context, app string, args Args, opts ...pulumi.ResourceOption) (pulumi.StringOutput,
	error) {
	name, err := reference.ParseNamed(fmt.Sprintf("%s/%s:%s", args.Registry, app, args.Tag))
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("naming image %s: %w", app, err)
	}
	buildArgs := pulumi.StringMap{"SOURCE_DATE_EPOCH": pulumi.String(epoch)}
	for arg, value := range args.BuildArgs {
		buildArgs[arg] = pulumi.String(value)
	}
	build := &dockerbuild.ImageArgs{
		Context:        &dockerbuild.BuildContextArgs{Location: pulumi.String(contextDir)},
		Dockerfile:     &dockerbuild.DockerfileArgs{Location: pulumi.String(dockerfile)},
		Target:         pulumi.String(app),
		BuildArgs:      buildArgs,
		Tags:           pulumi.ToStringArray([]string{name.String()}),
		Exports:        dockerbuild.ExportArray{dockerbuild.ExportArgs{Raw: pulumi.String(export)}},
		Push:           pulumi.Bool(false), // the export pushes
		BuildOnPreview: pulumi.Bool(false),
	}
	if args.Builder != "" {
		build.Builder = dockerbuild.BuilderConfigArgs{Name: pulumi.String(args.Builder)}
	}
	if args.Username != "" {
		build.Registries = dockerbuild.RegistryArray{dockerbuild.RegistryArgs{
			Address:  pulumi.String(reference.Domain(name)),
			Username: pulumi.String(args.Username),
			Password: pulumi.ToSecret(args.Password).(pulumi.StringOutput),
		}}
	}
	if args.Again {
		buildArgs[again] = pulumi.String(rand.Text())
	} else {
		opts = append(slices.Clip(opts), pulumi.IgnoreChanges([]string{"buildArgs." + again}))
	}
	image, err := dockerbuild.NewImage(ctx, app, build, append(opts, pulumi.RetainOnDelete(true))...)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("declaring image %s: %w", app, err)
	}
	return image.Ref, nil
}
