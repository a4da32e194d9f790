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

func build(args image.Args, ref *string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		got, err := image.New(ctx, "redisfiller", args)
		if err != nil {
			return err
		}
		got.ApplyT(func(r string) string { *ref = r; return r })
		return nil
	}
}

func TestImage(t *testing.T) {
	var ref string
	recording := recorder.Run(t, build(image.Args{Registry: "registry.example.com/team", Tag: "dev"}, &ref))

	recorded := recording.Get(t, imageType, "redisfiller")
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"context":        map[string]any{"location": ".."},
		"dockerfile":     map[string]any{"location": "../Dockerfile"},
		"target":         "redisfiller",
		"buildArgs":      map[string]any{"SOURCE_DATE_EPOCH": "0"},
		"tags":           []any{"registry.example.com/team/redisfiller:dev"},
		"exports":        []any{map[string]any{"raw": "type=registry,oci-mediatypes=true,rewrite-timestamp=true"}},
		"push":           false,
		"buildOnPreview": false,
		"network":        "default",
	}), recorded.Inputs)
	require.True(t, recorded.Request.GetRetainOnDelete())
	require.Equal(t, "registry.example.com/team/redisfiller:dev@"+recorder.Digest, ref)
}

func TestImageRefIsUnknownInPreview(t *testing.T) {
	ref := "untouched"
	recorder.Run(t, build(image.Args{Registry: "registry.example.com", Tag: "dev"}, &ref), recorder.Preview())
	require.Equal(t, "untouched", ref)
}

func TestImageWithLoginAndBuilder(t *testing.T) {
	var ref string
	recording := recorder.Run(t, build(image.Args{
		Registry: "registry.example.com:5000/team", Tag: "dev",
		Username: "alice", Password: pulumi.String("push-it"), Builder: "lab",
	}, &ref))

	inputs := recording.Get(t, imageType, "redisfiller").Inputs
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{"name": "lab"}),
		inputs["builder"].ObjectValue())
	require.Equal(t, resource.PropertyMap{
		"address":  resource.NewProperty("registry.example.com:5000"),
		"username": resource.NewProperty("alice"),
		"password": resource.MakeSecret(resource.NewProperty("push-it")),
	}, inputs["registries"].ArrayValue()[0].ObjectValue())
}

func TestImageWithArguments(t *testing.T) {
	var ref string
	recording := recorder.Run(t, build(image.Args{
		Registry: "registry.example.com", Tag: "dev", BuildArgs: map[string]string{"POSTGRES_IMAGE": "postgres:18"},
	}, &ref))
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{"SOURCE_DATE_EPOCH": "0",
		"POSTGRES_IMAGE": "postgres:18"}),
		recording.Get(t, imageType, "redisfiller").Inputs["buildArgs"].ObjectValue())
}

// Only a new value has it built, so in between the value of the last time stays.
func TestImageThatTheRegistryHasLostIsBuiltAgain(t *testing.T) {
	const argument = "STATEFUL_K3S_AGAIN"
	var ref string
	values := map[string]bool{}
	for range 2 {
		recorded := recorder.Run(t, build(image.Args{Registry: "registry.example.com", Tag: "dev", Again: true},
			&ref)).Get(t, imageType, "redisfiller")
		require.Empty(t, recorded.Request.GetIgnoreChanges())
		values[recorded.Inputs["buildArgs"].ObjectValue()[argument].StringValue()] = true
	}
	require.Len(t, values, 2)
	recorded := recorder.Run(t, build(image.Args{Registry: "registry.example.com", Tag: "dev"}, &ref)).Get(t,
		imageType, "redisfiller")
	require.Equal(t, []string{"buildArgs." + argument}, recorded.Request.GetIgnoreChanges())
	require.NotContains(t, recorded.Inputs["buildArgs"].ObjectValue(), resource.PropertyKey(argument))
}

func TestImageErrors(t *testing.T) {
	var ref string
	_, err := recorder.Try(t, build(image.Args{Registry: "registry.example.com", Tag: "dev"}, &ref),
		recorder.Failing("redisfiller"))
	require.ErrorContains(t, err, "declaring image redisfiller: ")

	_, err = recorder.Try(t, build(image.Args{Registry: "team", Tag: "dev"}, &ref))
	require.ErrorContains(t, err, "naming image redisfiller: repository name must be canonical")
}
