package kube

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// HeadlessService describes a Service that gives each pod a DNS name, and has no address of its own.
type HeadlessService struct {
	App, Name string
	Labels    map[string]string // in addition to the common ones
	Pods      Pods
	// Port is the port that the pods listen on.
	Port     int
	PortName string
	// NotReady publishes pods before they are ready, or resolvers would cache for a while that they are away.
	NotReady bool
}

// Declare declares the Service.
func (h HeadlessService) Declare(ctx *pulumi.Context, name string,
	opts ...pulumi.ResourceOption) (*corev1.Service, error) {
	spec := corev1.ServiceSpecArgs{
		ClusterIP: pulumi.String("None"),
		Selector:  pulumi.ToStringMap(h.Pods.Labels),
		Ports: corev1.ServicePortArray{corev1.ServicePortArgs{Name: pulumi.String(h.PortName),
			Port: pulumi.Int(h.Port)}},
	}
	if h.NotReady {
		spec.PublishNotReadyAddresses = pulumi.Bool(true)
	}
	service, err := corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: h.Pods.Namespace.Meta(h.App, h.Name, h.Labels),
		Spec:     spec,
	}, append(opts, h.Pods.Namespace.Ready())...)
	if err != nil {
		return nil, fmt.Errorf("declaring service %s: %w", h.Name, err)
	}
	return service, nil
}
