package cloudnativepg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// OperatorLabel and OperatorApp are the label of the operator's Deployment and pods.
const OperatorLabel, OperatorApp = "app.kubernetes.io/name", "cloudnative-pg"

// Operator is the operator in the cluster.
type Operator struct {
	pulumi.ResourceState
	// Namespace is where its pods are.
	Namespace string

	ready []pulumi.Resource
}

// Existing is an operator that the cluster has already.
func Existing(namespace string) *Operator { return &Operator{Namespace: namespace} }

// Ready makes a resource wait until the operator runs.
func (o *Operator) Ready() pulumi.ResourceOption { return pulumi.DependsOn(o.ready) }

func (o *Operator) pods() kube.Pods {
	return kube.Pods{Namespace: &kube.Namespace{Name: o.Namespace},
		Labels: map[string]string{OperatorLabel: OperatorApp}}
}

// OperatorArgs describes an operator to install.
type OperatorArgs struct {
	// Manifest is the YAML of a release.
	Manifest []byte
	// Owner is the stack that installs it, as a label.
	Owner string
	// Replicas is how many pods it has. One works, and others wait until it is lost.
	Replicas int
}

// Install declares the objects of a release. All of them outlive the stack: with the definition of its kind,
// every Cluster would go, and all its volumes.
func Install(ctx *pulumi.Context, name string, args OperatorArgs,
	opts ...pulumi.ResourceOption) (*Operator, error) {
	objects, err := parse(args.Manifest)
	if err != nil {
		return nil, fmt.Errorf("operator %s: reading its release: %w", name, err)
	}
	o := &Operator{}
	err = ctx.RegisterComponentResourceV2("stateful-k3s:cloudnativepg:Operator", name, pulumi.Map{}, o, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring operator %s: %w", name, err)
	}
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			o.Namespace = object.GetNamespace()
			if err := setReplicas(&object, args.Replicas); err != nil {
				return nil, fmt.Errorf("operator %s: %w", name, err)
			}
		}
		// The namespace comes first in a release.
		declared, err := declare(ctx, name, args.Owner, object, pulumi.Parent(o),
			pulumi.DependsOn(o.ready[:min(len(o.ready), 1)]), pulumi.RetainOnDelete(true))
		if err != nil {
			return nil, fmt.Errorf("operator %s: %w", name, err)
		}
		o.ready = append(o.ready, declared)
	}
	return o, ctx.RegisterResourceOutputs(o, pulumi.Map{})
}

// parse returns the objects of a release.
func parse(manifest []byte) (objects []unstructured.Unstructured, err error) {
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		var object unstructured.Unstructured
		err := documents.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if object.Object != nil {
			objects = append(objects, object)
		}
	}
	if len(objects) == 0 {
		return nil, errors.New("it has no objects")
	}
	return objects, nil
}

func setReplicas(deployment *unstructured.Unstructured, replicas int) error {
	return unstructured.SetNestedField(deployment.Object, int64(replicas), "spec", "replicas")
}

// declare declares an object of a release, with a label that says which stack has installed it.
func declare(ctx *pulumi.Context, name, owner string, object unstructured.Unstructured,
	opts ...pulumi.ResourceOption) (*kube.Object, error) {
	labels := maps.Clone(object.GetLabels())
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, map[string]string{"app.kubernetes.io/managed-by": "pulumi",
		kube.InstalledByLabel: owner})
	maps.Copy(labels, kube.PartOf())
	object.SetLabels(labels)
	annotations := maps.Clone(object.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	maps.Copy(annotations, kube.ApplyAnnotations())
	object.SetAnnotations(annotations)
	kind := object.GetKind()
	if kind == "CustomResourceDefinition" {
		delete(object.Object, "status") // which the API server writes
		removeDescriptions(object.Object["spec"])
	}
	return kube.NewObject(ctx, strings.ToLower(name+"-"+kind+"-"+object.GetName()), object.GetAPIVersion(), kind,
		pulumi.ToMap(object.Object), opts...)
}

// removeDescriptions removes the texts from schemas. They are three quarters of the definitions, which each
// update would read, compare, and write into the state.
func removeDescriptions(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		if _, isText := schema["description"].(string); isText { // and no field of that name
			delete(schema, "description")
		}
		for _, inner := range schema {
			removeDescriptions(inner)
		}
	case []any:
		for _, inner := range schema {
			removeDescriptions(inner)
		}
	}
}
