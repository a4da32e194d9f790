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

	// StackLabel stands on a namespace and names the stack that owns it by its Owner. The annotation of the same
	// name has the stack's own name, however long.
	StackLabel = project + "/stack"

	// FieldManager is who the API server takes for the owner of what the program sets in objects.
	FieldManager = project

	fieldManagerAnnotation = "pulumi.com/patchFieldManager"
	forceAnnotation        = "pulumi.com/patchForce"
	skipAwaitAnnotation    = "pulumi.com/skipAwait"
)

// Meta returns the metadata of the object called name, which belongs to app. The labels are added to those of
// the house.
func (n *Namespace) Meta(app, name string, labels map[string]string) *metav1.ObjectMetaArgs {
	meta := objectMeta(name, app, FieldManager, labels)
	meta.Namespace = pulumi.String(n.Name)
	return meta
}

// objectMeta fixes the field manager. A random one, which is Pulumi's default, is lost when an update is
// killed, and the next update then conflicts with it. By force it takes back what others have set, such as
// kubectl scale.
func objectMeta(name, app, fieldManager string, labels map[string]string) *metav1.ObjectMetaArgs {
	return &metav1.ObjectMetaArgs{
		Name:   pulumi.String(name),
		Labels: houseLabels(app, labels),
		Annotations: pulumi.StringMap{
			fieldManagerAnnotation: pulumi.String(fieldManager),
			forceAnnotation:        pulumi.String("true"),
		},
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

// stackName is the stack's name among those of all projects' organizations.
func stackName(ctx *pulumi.Context) string {
	return ctx.Organization() + "." + ctx.Stack()
}

// Owner identifies the stack by a string that fits into a label. A name that does not fit is cut, and made
// unique by a digest.
func Owner(ctx *pulumi.Context) string {
	name := stackName(ctx)
	if len(validation.IsValidLabelValue(name)) == 0 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:min(len(name), 50)] + "-" + hex.EncodeToString(sum[:4])
}
