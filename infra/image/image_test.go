package image_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

const imageType = "docker-build:index:Image"

func build(args image.Args) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := image.New(ctx, "redisfiller", args)
		return err
	}
}

// A new value of the argument makes Pulumi build. The builds after that ignore it, so that it stays.
func TestRebuild(t *testing.T) {
	const argument = "STATEFUL_K3S_AGAIN"
	args := image.Args{Registry: "registry.example.com", Tag: "dev", Rebuild: true}
	values := map[string]bool{}
	for range 2 {
		recorded := recorder.Run(t, build(args)).Get(t, imageType, "redisfiller")
		require.Equal(t, []string{"platforms"}, recorded.Request.GetIgnoreChanges())
		values[recorded.Inputs["buildArgs"].ObjectValue()[argument].StringValue()] = true
	}
	require.Len(t, values, 2)

	args.Rebuild = false
	recorded := recorder.Run(t, build(args)).Get(t, imageType, "redisfiller")
	require.ElementsMatch(t, []string{"platforms", "buildArgs." + argument}, recorded.Request.GetIgnoreChanges())
	require.NotContains(t, recorded.Inputs["buildArgs"].ObjectValue(), resource.PropertyKey(argument))
}

func TestImageIsBuiltFromTheContext(t *testing.T) {
	for context, want := range map[string]string{"": "..", "app": "app"} {
		args := image.Args{Context: context, Registry: "registry.example.com", Tag: "dev"}
		inputs := recorder.Run(t, build(args)).Get(t, imageType, "redisfiller").Inputs
		require.Equal(t, want, inputs["context"].ObjectValue()["location"].StringValue())
		require.Equal(t, want+"/Dockerfile", inputs["dockerfile"].ObjectValue()["location"].StringValue())
	}
}

// While nobody knows the platforms, as in a preview without the cluster, they stay as they are.
func TestImageIsForPlatforms(t *testing.T) {
	args := image.Args{Registry: "registry.example.com", Tag: "dev"}
	recorded := recorder.Run(t, build(args)).Get(t, imageType, "redisfiller")
	require.NotContains(t, recorded.Inputs, resource.PropertyKey("platforms"))
	require.Contains(t, recorded.Request.GetIgnoreChanges(), "platforms")
	args.Platforms = []string{"linux/amd64", "linux/arm64"}
	recorded = recorder.Run(t, build(args)).Get(t, imageType, "redisfiller")
	require.Equal(t, []any{"linux/amd64", "linux/arm64"}, recorded.Inputs["platforms"].Mappable())
	require.NotContains(t, recorded.Request.GetIgnoreChanges(), "platforms")
}

func TestImageErrors(t *testing.T) {
	_, err := recorder.Try(t, build(image.Args{Registry: "registry.example.com", Tag: "dev"}),
		recorder.Failing("redisfiller"))
	require.ErrorContains(t, err, "declaring image redisfiller: ")

	_, err = recorder.Try(t, build(image.Args{Registry: "team", Tag: "dev"}))
	require.ErrorContains(t, err, "naming image redisfiller: repository name must be canonical")
}
