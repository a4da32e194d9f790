package recorder

import (
	"encoding/json"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// Unknown stands for a string that is not known yet. It is valid base64, so that it can stand in a Secret too.
const Unknown = "unknown+"

var decoder = func() runtime.Decoder {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(appsv1.AddToScheme(scheme))
	utilruntime.Must(networkingv1.AddToScheme(scheme))
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}()

func isKubernetes(token string) bool {
	return strings.HasPrefix(token, "kubernetes:")
}

// decode refuses fields that the object's type does not have.
func decode(inputs resource.PropertyMap) (runtime.Object, error) {
	document, err := json.Marshal(resource.NewProperty(inputs).MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		if v.IsSecret() {
			return v.SecretValue().Element.MapRepl(nil, unknown), true
		}
		return unknown(v)
	}))
	if err != nil {
		return nil, err
	}
	object, _, err := decoder.Decode(document, nil, nil)
	return object, err
}

func unknown(v resource.PropertyValue) (any, bool) {
	return Unknown, v.IsComputed()
}

// Object returns the object of the Kubernetes resource with that name in the program.
func Object[T runtime.Object](r *Recording, name string) T {
	for _, recorded := range r.All() {
		if object, ok := recorded.Object.(T); ok && recorded.URN.Name() == name {
			return object
		}
	}
	panic("no such object in the recording: " + name)
}
