package cluster

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
)

// Preflight checks the cluster before anything is declared in it, guards what belongs to others, and watches the
// pods for as long as the program runs, which is until Pulumi is done. It refuses another cluster than that
// of the last update. It returns the kubeconfig of the provider. A preview does without the cluster if it has
// to: then it returns nil.
func (r Requirements) Preflight(ctx *pulumi.Context, access Access) (pulumi.StringInput, error) {
	access, err := access.resolve(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := access.connect(ctx.Context())
	if err != nil && ctx.DryRun() {
		if _, _, err := keep(ctx, place{}); err != nil {
			return nil, err
		}
		return nil, ctx.Log.Warn("This preview does not know what the cluster would say: "+err.Error(), nil)
	}
	if err != nil {
		return nil, err
	}
	meant, kept, err := keep(ctx, cluster.place)
	if err != nil {
		return nil, err
	}
	if err := cluster.refuse(meant); err != nil {
		return nil, err
	}
	if err := r.Check(ctx.Context(), cluster); err != nil {
		return nil, err
	}
	if err := r.Guard(ctx, cluster); err != nil {
		return nil, err
	}
	if !ctx.DryRun() {
		go r.Watch(ctx.Context(), cluster, func(reason string) { _ = ctx.Log.Warn(reason, nil) })
	}
	text, secret, err := access.kubeconfig(cluster.config, meant)
	if err != nil {
		return nil, err
	}
	// By way of the stash, which a destroy deletes after all that is in the cluster.
	kubeconfig := pulumi.All(kept).ApplyT(func([]any) string { return text }).(pulumi.StringOutput)
	if secret {
		kubeconfig = pulumi.ToSecret(kubeconfig).(pulumi.StringOutput)
	}
	return kubeconfig, nil
}

// keep returns where the state says that the stack is, which is here if it does not say so yet. It keeps that
// from the first moment on, so that also an update which fails half-way has done so.
func keep(ctx *pulumi.Context, here place) (meant place, stashed pulumi.Output, err error) {
	const name = "cluster"
	stash, err := pulumi.NewStash(ctx, name, &pulumi.StashArgs{Input: pulumi.StringMap{
		"uid": pulumi.String(here.uid), "fingerprint": pulumi.String(here.fingerprint),
		"server": pulumi.String(here.server),
	}}, pulumi.IgnoreChanges([]string{"input"}))
	if err != nil {
		return place{}, nil, fmt.Errorf("declaring %s: %w", name, err)
	}
	kept, err := internals.UnsafeAwaitOutput(ctx.Context(), stash.Output)
	if err != nil {
		return place{}, nil, fmt.Errorf("reading from the state which cluster the stack is on: %w", err)
	}
	if !kept.Known { // before the first update
		return here, stash.Output, nil
	}
	fields, _ := kept.Value.(map[string]any)
	field := func(name string) string {
		text, _ := fields[name].(string)
		return text
	}
	return place{field("uid"), field("fingerprint"), field("server")}, stash.Output, nil
}
