package recorder_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

func stash(ctx *pulumi.Context, name string, input pulumi.Input) error {
	_, err := pulumi.NewStash(ctx, name, &pulumi.StashArgs{Input: input})
	return err
}

func TestDuplicateFails(t *testing.T) {
	_, err := recorder.Try(t, func(ctx *pulumi.Context) error {
		_ = stash(ctx, "same", nil)
		return stash(ctx, "same", nil)
	})
	require.ErrorContains(t, err, "urn:pulumi:dev::stateful-k3s::pulumi:index:Stash::same is registered twice")
}

func TestUnknownFieldFails(t *testing.T) {
	_, err := recorder.Try(t, func(ctx *pulumi.Context) error {
		var resource pulumi.CustomResourceState
		return ctx.RegisterResource("kubernetes:core/v1:Secret", "wrong", pulumi.Map{
			"apiVersion": pulumi.String("v1"),
			"kind":       pulumi.String("Secret"),
			"dat":        pulumi.StringMap{},
		}, &resource)
	})
	require.ErrorContains(t, err, `unknown field "dat"`)
}

func TestWarningFails(t *testing.T) {
	_, err := recorder.Try(t, func(ctx *pulumi.Context) error { return ctx.Log.Warn("look here", nil) })
	require.ErrorContains(t, err, "look here")
}

func TestRequireSecret(t *testing.T) {
	for name, test := range map[string]struct {
		input  pulumi.Input
		failed bool
	}{
		"secret":           {pulumi.ToSecret(pulumi.String("a password")), false},
		"nested secret":    {pulumi.Map{"a": pulumi.Array{pulumi.ToSecret(pulumi.String("the password!"))}}, false},
		"plain":            {pulumi.String("a password"), true},
		"nested plain":     {pulumi.Map{"a": pulumi.Array{pulumi.String("the password!")}}, true},
		"plain in base64":  {pulumi.String("YSBwYXNzd29yZA=="), true},
		"secret in base64": {pulumi.ToSecret(pulumi.String("YSBwYXNzd29yZA==")), false},
		"absent":           {pulumi.ToSecret(pulumi.String("something else")), true},
	} {
		t.Run(name, func(t *testing.T) {
			recording := recorder.Run(t, func(ctx *pulumi.Context) error { return stash(ctx, "stash", test.input) })
			result := &fakeT{}
			recording.RequireSecret(result, "password")
			require.Equal(t, test.failed, result.failed)
		})
	}
}

// fakeT remembers whether the test failed.
type fakeT struct{ failed bool }

func (f *fakeT) Errorf(string, ...any) {}
func (f *fakeT) FailNow()              { f.failed = true }
