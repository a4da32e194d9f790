package kube

import (
	"fmt"
	"maps"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Object is an object of a kind that has no type in Pulumi's SDK, such as one of an operator.
type Object struct{ pulumi.CustomResourceState }

// NewObject declares an object. Its fields are named as in Kubernetes' API.
func NewObject(ctx *pulumi.Context, name, apiVersion, kind string, fields pulumi.Map,
	opts ...pulumi.ResourceOption) (*Object, error) {
	fields = maps.Clone(fields)
	fields["apiVersion"], fields["kind"] = pulumi.String(apiVersion), pulumi.String(kind)
	module := apiVersion
	if !strings.Contains(module, "/") {
		module = "core/" + module
	}
	object := &Object{}
	if err := ctx.RegisterResource("kubernetes:"+module+":"+kind, name, fields, object, opts...); err != nil {
		return nil, fmt.Errorf("declaring %s %s: %w", kind, name, err)
	}
	return object, nil
}
