package kube

import (
	"crypto/rand"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// keep stores a secret text in the stack's state alone. It returns the stored text, or stores and returns the
// given one if there is none yet or version changed.
func keep(ctx *pulumi.Context, kind, name, text string, version pulumi.StringInput,
	opts ...pulumi.ResourceOption) (pulumi.StringOutput, error) {
	stash, err := pulumi.NewStash(ctx, name, &pulumi.StashArgs{Input: secret(pulumi.String(text))},
		append(opts, pulumi.IgnoreChanges([]string{"input"}), pulumi.ReplacementTrigger(version))...)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("declaring %s %s: %w", kind, name, err)
	}
	return secret(stash.Output.ApplyT(func(kept any) (string, error) {
		text, ok := kept.(string)
		if !ok {
			return "", fmt.Errorf("the state of %s %s holds a %T, not a string; take a new %s version to replace it",
				kind, name, kept, kind)
		}
		return text, nil
	}).(pulumi.StringOutput)), nil
}

// NewRandomID returns a short random text, which stays the same until version changes or the resource is
// deleted.
func NewRandomID(ctx *pulumi.Context, name string, version pulumi.StringInput,
	opts ...pulumi.ResourceOption) (pulumi.StringOutput, error) {
	mark, err := keep(ctx, "random id", name, rand.Text()[:8], version, opts...)
	if err != nil {
		return mark, err
	}
	return pulumi.Unsecret(mark).(pulumi.StringOutput), nil
}

func secret(s pulumi.StringInput) pulumi.StringOutput {
	return pulumi.ToSecret(s).(pulumi.StringOutput)
}
