// Package kube holds the house rules that every Kubernetes object of the program follows.
package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	project = "stateful-k3s"

	// StackLabel stands on a namespace and names the stack that owns it.
	StackLabel = project + "/stack"

	fieldManagerAnnotation = "pulumi.com/patchFieldManager"
	forceAnnotation        = "pulumi.com/patchForce"
	skipAwaitAnnotation    = "pulumi.com/skipAwait"
)

// Meta returns the metadata of the object called name, which belongs to app. The labels are added to those of the house.
func (n *Namespace) Meta(app, name string, labels map[string]string) *metav1.ObjectMetaArgs {
	meta := objectMeta(name, app, project, labels)
	meta.Namespace = pulumi.String(n.Name)
	return meta
}

// objectMeta fixes the field manager. A random one, which is Pulumi's default, is lost when an update is
// killed, and the next update then conflicts with it.
func objectMeta(name, app, fieldManager string, labels map[string]string) *metav1.ObjectMetaArgs {
	return &metav1.ObjectMetaArgs{
		Name:        pulumi.String(name),
		Labels:      houseLabels(app, labels),
		Annotations: pulumi.StringMap{fieldManagerAnnotation: pulumi.String(fieldManager)},
	}
}

// annotate adds an annotation to those that objectMeta makes.
func annotate(meta *metav1.ObjectMetaArgs, key, value string) {
	meta.Annotations.(pulumi.StringMap)[key] = pulumi.String(value)
}

func houseLabels(app string, more map[string]string) pulumi.StringMap {
	labels := map[string]string{
		"app.kubernetes.io/name":       app,
		"app.kubernetes.io/part-of":    project,
		"app.kubernetes.io/managed-by": "pulumi",
	}
	maps.Copy(labels, more)
	return pulumi.ToStringMap(labels)
}

// Owner identifies the stack by a string that fits into a label. A name that does not fit is cut, and made unique by a digest.
func Owner(ctx *pulumi.Context) string {
	name := ctx.Organization() + "." + ctx.Stack()
	if len(validation.IsValidLabelValue(name)) == 0 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:min(len(name), 50)] + "-" + hex.EncodeToString(sum[:4])
}
