package v2

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

type object struct{ pulumi.CustomResourceState }

// RegisterResource registers an object of any kind.
func RegisterResource(ctx *pulumi.Context, apiVersion, kind, name string, props pulumi.Input, opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	if apiVersion == "v1" {
		apiVersion = "core/v1"
	}
	var o object
	if err := ctx.RegisterResource("kubernetes:"+apiVersion+":"+kind, name, props, &o, opts...); err != nil {
		return nil, err
	}
	return &o, nil
}
