package recorder

import (
	"encoding/json"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Unknown is how a string that is not known yet reads.
const Unknown = "unknown"

var scheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(appsv1.AddToScheme(scheme))
	utilruntime.Must(batchv1.AddToScheme(scheme))
	utilruntime.Must(networkingv1.AddToScheme(scheme))
	utilruntime.Must(policyv1.AddToScheme(scheme))
	utilruntime.Must(gatewayv1.Install(scheme))
	utilruntime.Must(monitoringv1.AddToScheme(scheme))
	return scheme
}()

var decoder = serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()

func isKubernetes(token string) bool {
	return strings.HasPrefix(token, "kubernetes:")
}

// decode decodes inputs strictly: a field that the object's type does not have is an error. It leaves out
// fields that are unknown as a whole. Kinds of the operator of Postgres have no types.
func decode(inputs resource.PropertyMap) (runtime.Object, error) {
	known := resource.PropertyMap{}
	for key, value := range inputs {
		if !reveal(value).IsComputed() {
			known[key] = value
		}
	}
	document, err := json.Marshal(resource.NewProperty(known).MapRepl(nil, replace))
	if err != nil {
		return nil, err
	}
	untyped := &unstructured.Unstructured{}
	if err := json.Unmarshal(document, &untyped.Object); err != nil {
		return nil, err
	}
	if !scheme.IsGroupRegistered(untyped.GroupVersionKind().Group) {
		return untyped, nil
	}
	object, _, err := decoder.Decode(document, nil, nil)
	return object, err
}

func replace(v resource.PropertyValue) (any, bool) {
	switch {
	case v.IsSecret():
		return reveal(v).MapRepl(nil, replace), true
	case v.IsComputed():
		return Unknown, true
	}
	return nil, false
}

func reveal(v resource.PropertyValue) resource.PropertyValue {
	if v.IsSecret() {
		return v.SecretValue().Element
	}
	return v
}

// Object returns the Kubernetes object of the resource with that name in the program.
func Object[T runtime.Object](r *Recording, name string) T {
	for _, recorded := range r.All() {
		if object, ok := recorded.Object.(T); ok && recorded.URN.Name() == name {
			return object
		}
	}
	panic("no such object in the recording: " + name)
}
