package cluster

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Preflight checks the cluster before anything is declared in it. It refuses any cluster but the one of the
// last update, guards objects of others, and watches the pods until Pulumi is done. It returns the provider's
// kubeconfig, or nil in a preview without the cluster.
func (r Requirements) Preflight(ctx *pulumi.Context, access Access) (pulumi.StringInput, error) {
	access, err := access.resolve(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := access.connect(ctx.Context())
	if err != nil && ctx.DryRun() {
		if _, _, err := recordIdentity(ctx, identity{}); err != nil {
			return nil, err
		}
		return nil, ctx.Log.Warn("This preview does not know what the cluster would say: "+err.Error(), nil)
	}
	if err != nil {
		return nil, err
	}
	expected, recorded, err := recordIdentity(ctx, cluster.identity)
	if err != nil {
		return nil, err
	}
	if err := cluster.mustBe(expected); err != nil {
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
	text, secret, err := access.kubeconfig(cluster.config, expected)
	if err != nil {
		return nil, err
	}
	// It depends on the stash, which a destroy deletes after everything in the cluster.
	kubeconfig := pulumi.All(recorded).ApplyT(func([]any) string { return text }).(pulumi.StringOutput)
	if secret {
		kubeconfig = pulumi.ToSecret(kubeconfig).(pulumi.StringOutput)
	}
	return kubeconfig, nil
}
