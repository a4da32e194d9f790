package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// TestEveryObject has rules that hold for each Kubernetes object of the program.
func TestEveryObject(t *testing.T) {
	recording := recorder.Run(t, withoutCluster, settings(t, everyPod()))
	objects := 0
	for _, recorded := range recording.All() {
		object, is := recorded.Object.(metav1.Object)
		if !is {
			continue
		}
		objects++
		require.Equal(t, "k3s", recorded.Provider(), recorded.URN)
		// Otherwise the API server refuses every update of an object that somebody changed by hand.
		require.Equal(t, "true", object.GetAnnotations()["pulumi.com/patchForce"], recorded.URN)
		require.Equal(t, "pulumi", object.GetLabels()["app.kubernetes.io/managed-by"], recorded.URN)
		if namespace := object.GetNamespace(); recorded.Parent() != "" {
			// Otherwise pods could be reached for a moment.
			require.Subset(t, recorded.DependsOn(),
				[]string{namespace, namespace + "-default-deny", namespace + "-dns"}, recorded.URN)
		}
	}
	require.NotZero(t, objects)
}

// Namespaces keep the data, and images serve other stacks. They outlive the stack, and nothing else does.
func TestWhatDestroyKeeps(t *testing.T) {
	for _, recorded := range recorder.Run(t, withoutCluster, settings(t, nil)).All() {
		keep := kind(recorded) == "Namespace" || kind(recorded) == "Image"
		require.Equal(t, keep, recorded.Request.GetRetainOnDelete(), recorded.URN)
		require.False(t, recorded.Request.GetProtect(), recorded.URN)
	}
}

// No setting replaces what holds data: the claims belong to StatefulSets, which leave them behind.
func TestClaimsOutliveTheirStatefulSets(t *testing.T) {
	sets := 0
	for _, recorded := range recorder.Run(t, withoutCluster, settings(t, nil)).All() {
		require.NotContains(t, string(recorded.URN.Type()), "PersistentVolume", recorded.URN)
		if set, is := recorded.Object.(*appsv1.StatefulSet); is {
			sets++
			policy := set.Spec.PersistentVolumeClaimRetentionPolicy
			require.Equal(t, appsv1.RetainPersistentVolumeClaimRetentionPolicyType, policy.WhenDeleted, recorded.URN)
			require.Equal(t, appsv1.RetainPersistentVolumeClaimRetentionPolicyType, policy.WhenScaled, recorded.URN)
		}
	}
	require.Equal(t, 4, sets)
}

// A first preview shows everything but what follows from built images and generated secrets. Names and other
// fixed values must not come from outputs.
func TestPreviewLeavesOnlyImagesAndSecretsOpen(t *testing.T) {
	open := regexp.MustCompile(`\.image$|^data$|^spec\.template\.metadata\.annotations\.stateful-k3s/[a-z-]+-` +
		`(password|secret|client|certificate)$`)
	unknowns := 0
	recording := recorder.Run(t, withoutCluster, settings(t, nil), recorder.Preview())
	require.Equal(t, recorder.Run(t, withoutCluster, settings(t, nil)).Names(), recording.Names())
	for _, recorded := range recording.All() {
		if recorded.Object == nil {
			continue
		}
		for _, path := range unknownPaths("", resource.NewProperty(recorded.Inputs)) {
			unknowns++
			require.Regexp(t, open, strings.TrimPrefix(path, "."), recorded.URN)
		}
	}
	require.NotZero(t, unknowns)
}

func unknownPaths(path string, value resource.PropertyValue) (paths []string) {
	switch {
	case value.IsSecret():
		return unknownPaths(path, value.SecretValue().Element)
	case value.IsComputed():
		return []string{path}
	case value.IsObject():
		for key, field := range value.ObjectValue() {
			paths = append(paths, unknownPaths(path+"."+string(key), field)...)
		}
	case value.IsArray():
		for i, element := range value.ArrayValue() {
			paths = append(paths, unknownPaths(fmt.Sprintf("%s[%d]", path, i), element)...)
		}
	}
	return paths
}
