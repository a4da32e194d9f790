package kube_test

import (
	"encoding/base64"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const stashType = "pulumi:index:Stash"

func generate(ctx *pulumi.Context) error {
	_, err := kube.NewPassword(ctx, "password", kube.PasswordArgs{Version: "7"})
	return err
}

func TestGeneratedPasswordIsRandom(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		input := recorder.Run(t, generate).Get(t, stashType, "password").Inputs["input"]
		require.True(t, input.IsSecret())
		password := input.SecretValue().Element.StringValue()
		random, err := base64.RawURLEncoding.DecodeString(password)
		require.NoError(t, err)
		require.Len(t, random, 32)
		seen[password] = true
	}
	require.Len(t, seen, 2)
}

func TestGeneratedPasswordIsKeptUntilTheVersionChanges(t *testing.T) {
	request := recorder.Run(t, generate).Get(t, stashType, "password").Request
	require.Equal(t, []string{"input"}, request.GetIgnoreChanges())
	require.Equal(t, "7", request.GetReplacementTrigger().GetStringValue())
}

// The engine answers with the value that it kept, not with the new one of this run.
func TestGeneratedPasswordIsTheOneInTheState(t *testing.T) {
	recording := recorder.Run(t, show(kube.PasswordArgs{Version: "1"}),
		recorder.Outputs(stashType, resource.PropertyMap{"output": resource.NewProperty("kept")}))
	recording.RequireSecret(t, "kept")
}

func TestGivenPasswordNeedsNoStash(t *testing.T) {
	recording := recorder.Run(t, show(kube.PasswordArgs{Override: pulumi.String("given"), Version: "1"}))
	require.NotContains(t, recording.Names(), "password "+stashType)
	recording.RequireSecret(t, "given")
}

func TestPasswordErrors(t *testing.T) {
	_, err := recorder.Try(t, show(kube.PasswordArgs{Version: "1"}),
		recorder.Outputs(stashType, resource.PropertyMap{"output": resource.NewProperty(1.0)}))
	require.ErrorContains(t, err,
		"the state of password password holds a float64, not a string; take a new password version to replace it")
}

// Another digest of the same password would restart all pods.
func TestDigest(t *testing.T) {
	for _, test := range []struct{ name, password, digest string }{
		{"exercises/redis", "correct horse", "b7defb06"},
		{"exercises/redis", "correct horses", "92e724ba"},
		{"project/redis", "correct horse", "2104f861"},
	} {
		recording := recorder.Run(t, func(ctx *pulumi.Context) error {
			_, err := pulumi.NewStash(ctx, "digest", &pulumi.StashArgs{
				Input: kube.Digest(test.name, pulumi.ToSecret(pulumi.String(test.password)).(pulumi.StringOutput)),
			})
			return err
		})
		require.Equal(t, resource.NewProperty(test.digest), recording.Get(t, stashType, "digest").Inputs["input"])
	}
}

// show hands the password to a resource that does not make its inputs secret by itself.
func show(args kube.PasswordArgs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		password, err := kube.NewPassword(ctx, "password", args)
		if err != nil {
			return err
		}
		_, err = pulumi.NewStash(ctx, "shown", &pulumi.StashArgs{Input: password})
		return err
	}
}
