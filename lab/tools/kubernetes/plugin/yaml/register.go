// Package yaml registers objects of all kinds alike.
package yaml

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

type object struct{ pulumi.CustomResourceState }

// RegisterResource stands for the function of that name in Pulumi's Kubernetes SDK, which the plugin calls for what
// ConfigGroup, ConfigFile and Chart contain. The tokens are the SDK's: those of the group without a name are "core".
func RegisterResource(ctx *pulumi.Context, apiVersion, kind, name string, props pulumi.Input, opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	if apiVersion == "v1" {
		apiVersion = "core/v1"
	}
	var registered object
	if err := ctx.RegisterResource("kubernetes:"+apiVersion+":"+kind, name, props, &registered, opts...); err != nil {
		return nil, err
	}
	return &registered, nil
}
