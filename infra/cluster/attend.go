package cluster

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Attend checks the cluster before anything is declared in it, and watches the pods for as long as the program runs, which is
// until Pulumi is done. A preview does without the cluster if it has to.
func (n Needs) Attend(ctx *pulumi.Context) error {
	client, err := Connect()
	if err != nil {
		if ctx.DryRun() {
			return ctx.Log.Warn("This preview does not know what the cluster would say: "+err.Error(), nil)
		}
		return err
	}
	if err := n.Check(ctx.Context(), client); err != nil {
		return err
	}
	if !ctx.DryRun() {
		go n.Watch(ctx.Context(), client, func(reason string) { _ = ctx.Log.Warn(reason, nil) })
	}
	return nil
}
