package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Approval is what a preflight has found out.
type Approval struct {
	// Kubeconfig is the provider's; nil in a preview without the cluster.
	Kubeconfig pulumi.StringInput
	// Shared are the namespaces that belong to the user, and not to the stack.
	Shared []string
	// Passwords are in the Secrets of the requirements.
	Passwords map[ExistingSecret]Passwords
	// Platforms are what images have to be for; empty if nobody knows.
	Platforms Platforms
	// Gateway is the one of the settings with what the cluster says of it; nil if that is not known.
	Gateway *kube.Gateway
	// Versions are the versions of Postgres, by the names of the databases.
	Versions map[string]Version
	// CloudNativePG is empty unless a database has this engine.
	CloudNativePG CloudNativePG
	// Archives has the archive of each database of CloudNativePG, by the database's name.
	Archives map[string]Archive
	// AwaitArchiver waits until the primary of a Cluster has what archives its log; nil in a preview.
	AwaitArchiver func(ctx context.Context, namespace, cluster string) error
}

// Preflight checks the cluster before anything is declared in it. It refuses any cluster but the one of the
// last update, guards objects of others, grows claims, and watches the pods until Pulumi is done.
func (r Requirements) Preflight(ctx *pulumi.Context, access Access) (approval Approval, err error) {
	if access, err = access.resolve(ctx); err != nil {
		return approval, err
	}
	cluster, err := access.connect(ctx.Context())
	if err != nil && ctx.DryRun() {
		if _, _, err := recordIdentity(ctx, identity{}); err != nil {
			return approval, err
		}
		return approval, ctx.Log.Warn("This preview does not know what the cluster would say: "+err.Error(), nil)
	}
	if err != nil {
		return approval, err
	}
	expected, recorded, err := recordIdentity(ctx, cluster.identity)
	if err != nil {
		return approval, err
	}
	if err := cluster.mustBe(expected); err != nil {
		return approval, err
	}
	gateway, err := r.findGateway(ctx.Context(), cluster)
	if err := errors.Join(r.Check(ctx.Context(), cluster, gateway), err); err != nil {
		return approval, err
	}
	approval.Gateway = r.known(gateway)
	if approval.Shared, err = r.shared(ctx.Context(), cluster); err != nil {
		return approval, err
	}
	if approval.Passwords, err = r.passwords(ctx.Context(), cluster); err != nil {
		return approval, err
	}
	if approval.Platforms, err = platforms(ctx.Context(), cluster); err != nil {
		return approval, err
	}
	if err := r.keepsData(ctx.Context(), cluster); err != nil {
		return approval, err
	}
	var dryRun []string
	if ctx.DryRun() {
		dryRun = []string{metav1.DryRunAll}
	}
	if approval.Versions, err = r.versions(ctx.Context(), cluster, dryRun...); err != nil {
		return approval, err
	}
	r.follow(approval.Versions)
	say := func(what string) { _ = ctx.Log.Info(what, nil) }
	for _, notice := range r.notices(approval.Versions) {
		say(notice)
	}
	if err := r.checkRedis(ctx.Context(), cluster, say); err != nil {
		return approval, err
	}
	if approval.CloudNativePG, err = r.findCloudNativePG(ctx.Context(), cluster, say); err != nil {
		return approval, err
	}
	if approval.Archives, err = r.archives(ctx.Context(), cluster, time.Now()); err != nil {
		return approval, err
	}
	if err := r.Guard(ctx, cluster); err != nil {
		return approval, err
	}
	if err := r.growClaims(ctx, cluster); err != nil {
		return approval, err
	}
	if !ctx.DryRun() {
		approval.AwaitArchiver = func(ctx context.Context, namespace, name string) error {
			return awaitArchiver(ctx, cluster, namespace, name)
		}
		go r.Watch(ctx.Context(), cluster, func(reason string) { _ = ctx.Log.Warn(reason, nil) })
	}
	text, secret, err := access.kubeconfig(cluster.config, expected)
	if err != nil {
		return approval, err
	}
	// It depends on the stash, which a destroy deletes after everything in the cluster.
	kubeconfig := pulumi.All(recorded).ApplyT(func([]any) string { return text }).(pulumi.StringOutput)
	if secret {
		kubeconfig = pulumi.ToSecret(kubeconfig).(pulumi.StringOutput)
	}
	approval.Kubeconfig = kubeconfig
	return approval, nil
}
