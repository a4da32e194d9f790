package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// metadataOnly asks the API server for an object's metadata alone, so that no Secret is read.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// getMetadata returns the metadata of the object that a request names.
func getMetadata(ctx context.Context, request *rest.Request) (found metav1.PartialObjectMetadata, err error) {
	answer, err := request.SetHeader("Accept", metadataOnly).DoRaw(ctx)
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(answer, &found); err != nil {
		return found, fmt.Errorf("reading its metadata: %w", err)
	}
	return found, nil
}

// Guard makes Pulumi fail before it creates an object that exists already and is not the stack's. The API
// server would not refuse: objects are applied by force, to take back what people changed by hand.
func (r Requirements) Guard(ctx *pulumi.Context, client kubernetes.Interface) error {
	hook, err := ctx.RegisterResourceHook("take nothing of others", func(args *pulumi.ResourceHookArgs) error {
		return r.mayCreate(ctx.Context(), client, args.NewInputs)
	}, &pulumi.ResourceHookOptions{OnDryRun: true})
	if err != nil {
		return fmt.Errorf("guarding the objects of others: %w", err)
	}
	return ctx.RegisterStackTransformation(
		func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if !strings.HasPrefix(args.Type, "kubernetes:") {
				return nil
			}
			guarded := pulumi.ResourceHooks(&pulumi.ResourceHookBinding{BeforeCreate: []*pulumi.ResourceHook{hook}})
			return &pulumi.ResourceTransformationResult{Props: args.Props,
				Opts: append(slices.Clip(args.Opts), guarded)}
		})
}

// mayCreate fails if the object that the inputs describe exists and belongs to others.
func (r Requirements) mayCreate(ctx context.Context, client kubernetes.Interface,
	inputs resource.PropertyMap) error {
	object := unstructured.Unstructured{Object: inputs.MapRepl(nil, unwrap)}
	kind, namespace, name := object.GroupVersionKind(), object.GetNamespace(), object.GetName()
	path := "/apis/" + kind.GroupVersion().String()
	if kind.Group == "" {
		path = "/api/" + kind.Version
	}
	plural, _ := meta.UnsafeGuessKindToResource(kind) // right for all of Kubernetes' own kinds
	what := plural.GroupResource().String()
	request := client.Discovery().RESTClient().Get().AbsPath(path).NamespaceIfScoped(namespace, namespace != "").
		Resource(plural.Resource).Name(name)
	existing, err := getMetadata(ctx, request)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking the cluster for %s %s: %w", what, name, err)
	}
	isOurs := func(by metav1.ManagedFieldsEntry) bool { return by.Manager == kube.FieldManager }
	if slices.ContainsFunc(existing.ManagedFields, isOurs) {
		return nil
	}
	if object.GetLabels()[kube.InstalledByLabel] != "" {
		return fmt.Errorf("%s %s is in the cluster already, and this stack did not make it, though the operator "+
			"that it belongs to is not there: install that operator, which the stack then uses, or kubectl delete "+
			"%[1]s %[2]s", what, name)
	}
	if kind.Kind == "Namespace" {
		return r.owns(&existing)
	}
	return fmt.Errorf("%s %s is in the namespace %s already, and this stack did not make it: if nobody needs "+
		"it, kubectl -n %[3]s delete %[1]s %[2]s; or else give the stack other namespaces with "+
		"pulumi config set namePrefix alice-", what, name, namespace)
}

// unwrap reads values that are secret or outputs.
func unwrap(value resource.PropertyValue) (any, bool) {
	switch {
	case value.IsSecret():
		return value.SecretValue().Element.MapRepl(nil, unwrap), true
	case value.IsOutput():
		return value.OutputValue().Element.MapRepl(nil, unwrap), true
	}
	return nil, false
}
