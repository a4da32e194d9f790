package storage

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Bucket is a bucket of an S3 service: that of a Storage, or one elsewhere.
type Bucket struct {
	// Endpoint is the service's URL, with https and without a path.
	Endpoint string
	Region   string
	// Name is the bucket's name.
	Name string
	// Prefix is the folder in it below which namespaces have theirs; empty for the bucket itself.
	Prefix string
	// PathStyle puts it into the path of addresses, and not in front of the host's name.
	PathStyle            bool
	AccessKey, SecretKey pulumi.StringInput
	// Authorities are certificates in PEM that are trusted besides the public ones; nil for none.
	Authorities pulumi.StringInput
	// Networks are where a service elsewhere may be.
	Networks []kube.Network

	server *Storage // nil elsewhere
}

// Allow lets pods connect to the service, and says why.
func (b Bucket) Allow(ctx *pulumi.Context, name string, from kube.Pods, why string,
	opts ...pulumi.ResourceOption) error {
	if b.server != nil {
		return kube.Allow(ctx, name, kube.Connection{From: from, To: b.server.pods, Port: port, Why: why}, opts...)
	}
	return kube.AllowOutbound(ctx, name,
		kube.Outbound{From: from, Networks: b.Networks, URL: b.Endpoint, Why: why}, opts...)
}

// Ready makes a resource wait until the server answers, if it is part of the program.
func (b Bucket) Ready() pulumi.ResourceOption {
	if b.server == nil {
		return pulumi.DependsOn(nil)
	}
	return pulumi.DependsOn([]pulumi.Resource{b.server.server})
}
