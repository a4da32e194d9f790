package storage

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Bucket is a bucket of a Storage or of an external S3 service.
type Bucket struct {
	// Endpoint is the service's URL, with https and without a path.
	Endpoint pulumi.StringInput
	Region   pulumi.StringInput
	// Name is the bucket's name.
	Name pulumi.StringInput
	// Prefix is the folder of the databases' folders; nil for the top of the bucket.
	Prefix pulumi.StringInput
	// PathStyle puts the bucket's name into the path of a URL, and not in front of the host name.
	PathStyle            bool
	AccessKey, SecretKey pulumi.StringInput
	// Authorities are certificates in PEM to trust in addition to the public ones; nil for none.
	Authorities pulumi.StringInput
	// Networks are where an external service may be.
	Networks []kube.Network

	server *Storage // nil for an external service
}

// Allow declares network policies that let pods connect to the service. why is the policies' description.
func (b Bucket) Allow(ctx *pulumi.Context, name string, from kube.Pods, why string,
	opts ...pulumi.ResourceOption) error {
	if b.server != nil {
		return kube.Allow(ctx, name, kube.Connection{From: from, To: b.server.pods, Port: port, Why: why}, opts...)
	}
	return kube.AllowOutbound(ctx, name,
		kube.Outbound{From: from, Networks: b.Networks, URL: b.Endpoint, Why: why}, opts...)
}

// Ready makes a resource wait until the server answers. An external service is taken as ready.
func (b Bucket) Ready() pulumi.ResourceOption {
	if b.server == nil {
		return pulumi.DependsOn(nil)
	}
	return pulumi.DependsOn([]pulumi.Resource{b.server.server})
}
