package recorder_test

import (
	"fmt"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

func stash(ctx *pulumi.Context, name string, input pulumi.Input, opts ...pulumi.ResourceOption) error {
	_, err := pulumi.NewStash(ctx, name, &pulumi.StashArgs{Input: input}, opts...)
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

func TestFailing(t *testing.T) {
	_, err := recorder.Try(t, func(ctx *pulumi.Context) error {
		if err := stash(ctx, "good", nil); err != nil {
			return err
		}
		if err := stash(ctx, "bad", nil); err != nil {
			return fmt.Errorf("wrapped: %w", err)
		}
		return nil
	}, recorder.Failing("bad"))
	require.ErrorContains(t, err, "wrapped: ")
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
		recording := recorder.Run(t, func(ctx *pulumi.Context) error { return stash(ctx, "stash", test.input) })
		judge := &judge{}
		recording.RequireSecret(judge, "password")
		require.Equal(t, test.failed, judge.failed, name)
	}
}

// judge is a test that remembers how it ended.
type judge struct{ failed bool }

func (j *judge) Errorf(string, ...any) {}
func (j *judge) FailNow()              { j.failed = true }

func TestOptionsAndUnknownsAreRecorded(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		var parent pulumi.ResourceState
		if err := ctx.RegisterComponentResource("test:index:Parent", "parent", &parent); err != nil {
			return err
		}
		config, err := corev1.NewConfigMap(ctx, "config", &corev1.ConfigMapArgs{
			Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("config")},
		}, pulumi.Parent(&parent), pulumi.Protect(true))
		if err != nil {
			return err
		}
		return stash(ctx, "stash", config.Metadata.Name(), pulumi.DependsOn([]pulumi.Resource{&parent}))
	}, recorder.Preview())

	config := recording.Get(t, "kubernetes:core/v1:ConfigMap", "config")
	require.Equal(t, "parent", config.Parent())
	require.True(t, config.Request.GetProtect())
	require.Equal(t, "", config.Provider())
	stash := recording.Get(t, "pulumi:index:Stash", "stash")
	require.Equal(t, "", stash.Parent())
	require.Equal(t, []string{"config"}, stash.DependsOn())
	require.True(t, stash.Inputs["input"].IsComputed())
}
