// Package kube declares Kubernetes objects with the conventions that all of them share: names, labels,
// network policies, security settings.
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

	// StackLabel is a namespace's label with the Owner of its stack. An annotation of the same name has the
	// stack's full name, however long.
	StackLabel = project + "/stack"

	// FieldManager is the owner, for the API server, of the fields that the program sets.
	FieldManager = project

	// InstalledByLabel names the Owner of the stack that installed an operator, which other stacks use too.
	InstalledByLabel = project + "/installed-by"

	partOfLabel            = "app.kubernetes.io/part-of"
	fieldManagerAnnotation = "pulumi.com/patchFieldManager"
	forceAnnotation        = "pulumi.com/patchForce"
	skipAwaitAnnotation    = "pulumi.com/skipAwait"
)

// Meta returns the metadata of the object called name, which belongs to app. The labels are added to the
// common ones.
func (n *Namespace) Meta(app, name string, labels map[string]string) *metav1.ObjectMetaArgs {
	meta := objectMeta(name, app, FieldManager, labels)
	meta.Namespace = pulumi.String(n.Name)
	return meta
}

// objectMeta fixes the field manager. Pulumi's default is a random name, which a killed update loses: the
// next one then conflicts with it. Force takes back fields that others have set, for example with kubectl
// scale.
func objectMeta(name, app, fieldManager string, labels map[string]string) *metav1.ObjectMetaArgs {
	return &metav1.ObjectMetaArgs{
		Name:        pulumi.String(name),
		Labels:      commonLabels(app, labels),
		Annotations: pulumi.ToStringMap(applyAnnotations(fieldManager)),
	}
}

// ApplyAnnotations are what objects need whose metadata others write.
func ApplyAnnotations() map[string]string { return applyAnnotations(FieldManager) }

func applyAnnotations(fieldManager string) map[string]string {
	return map[string]string{fieldManagerAnnotation: fieldManager, forceAnnotation: "true"}
}

// Annotate adds an annotation to metadata that objectMeta made.
func Annotate(meta *metav1.ObjectMetaArgs, key, value string) {
	meta.Annotations.(pulumi.StringMap)[key] = pulumi.String(value)
}

func commonLabels(app string, more map[string]string) pulumi.StringMap {
	labels := map[string]string{
		"app.kubernetes.io/name":       app,
		partOfLabel:                    project,
		"app.kubernetes.io/managed-by": "pulumi",
	}
	maps.Copy(labels, more)
	return pulumi.ToStringMap(labels)
}

// PartOf are the labels by which the policies of a shared namespace select the stack's pods.
func PartOf() map[string]string { return map[string]string{partOfLabel: project} }

// stackName is the stack's name, with its organization, and with the project if that is another one.
func stackName(ctx *pulumi.Context) string {
	if ctx.Project() != project {
		return ctx.Organization() + "." + ctx.Project() + "." + ctx.Stack()
	}
	return ctx.Organization() + "." + ctx.Stack()
}

// Owner identifies the stack in a label. A name that is no valid label is cut, and made unique by a digest.
func Owner(ctx *pulumi.Context) string {
	name := stackName(ctx)
	if len(validation.IsValidLabelValue(name)) == 0 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:min(len(name), 50)] + "-" + hex.EncodeToString(sum[:4])
}
