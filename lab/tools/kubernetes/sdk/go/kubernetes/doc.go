// A Pulumi package for creating and managing Kubernetes resources.
package kubernetes
