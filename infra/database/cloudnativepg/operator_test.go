package cloudnativepg_test

import (
	"os"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// installed installs a release, and returns its definition of the kind Cluster.
func installed(t *testing.T, manifest []byte) (*recorder.Recording, *cloudnativepg.Operator) {
	t.Helper()
	var operator *cloudnativepg.Operator
	return recorder.Run(t, func(ctx *pulumi.Context) (err error) {
		operator, err = cloudnativepg.Install(ctx, "cnpg", cloudnativepg.OperatorArgs{
			Manifest: manifest, Owner: "alice.dev", Replicas: 2})
		return err
	}), operator
}

// Without a definition all Clusters would go, with their volumes, and without the operator nobody looks after
// them.
func TestTheOperatorOutlivesTheStack(t *testing.T) {
	manifest, err := cloudnativepg.OperatorRelease.Manifest(t.Context())
	require.NoError(t, err)
	recording, operator := installed(t, manifest)
	require.Equal(t, "cnpg-system", operator.Namespace)
	objects := 0
	for _, recorded := range recording.All() {
		object, is := recorded.Object.(interface {
			GetLabels() map[string]string
			GetAnnotations() map[string]string
		})
		if !is {
			continue
		}
		objects++
		require.True(t, recorded.Request.GetRetainOnDelete(), recorded.URN)
		require.Equal(t, "alice.dev", object.GetLabels()["stateful-k3s/installed-by"], recorded.URN)
		require.Equal(t, "true", object.GetAnnotations()["pulumi.com/patchForce"], recorded.URN)
	}
	require.Greater(t, objects, 20)
}

func TestAReleaseWithoutObjectsIsTold(t *testing.T) {
	for manifest, message := range map[string]string{"": "it has no objects", "{": "reading its release: "} {
		_, err := recorder.Try(t, func(ctx *pulumi.Context) error {
			_, err := cloudnativepg.Install(ctx, "cnpg", cloudnativepg.OperatorArgs{Manifest: []byte(manifest)})
			return err
		})
		require.ErrorContains(t, err, "operator cnpg: reading its release: ")
		require.ErrorContains(t, err, message)
	}
}

// The program installs the versions that the lab compiles.
func TestTheReleasesAreTheLabs(t *testing.T) {
	const dir = "../../../lab/tools/cloudnative-pg/"
	pins, err := os.ReadFile(dir + "go.sum")
	require.NoError(t, err)
	for _, release := range []cloudnativepg.Release{cloudnativepg.OperatorRelease, cloudnativepg.PluginRelease} {
		require.Contains(t, string(pins), release.Pin()+"\n")
	}
}

// The API server prunes fields that a kind does not have, without a word.
func TestObjectsFollowTheirSchemas(t *testing.T) {
	manifest, err := cloudnativepg.OperatorRelease.Manifest(t.Context())
	require.NoError(t, err)
	release, _ := installed(t, manifest)
	recording := recorder.Run(t, program(withHstore))
	for name, kind := range map[string]string{"pings-cluster": "clusters", "pings-database": "databases"} {
		schema := schemaOf(t, release, "cnpg-customresourcedefinition-"+kind+".postgresql.cnpg.io")
		object := recorder.Object[*unstructured.Unstructured](recording, name)
		requireFollows(t, "spec", schema, object.Object["spec"])
	}
}

// schemaOf returns the schema of the spec that a definition has.
func schemaOf(t *testing.T, release *recorder.Recording, definition string) map[string]any {
	t.Helper()
	versions := field(t, object(t, release, definition), "spec.versions").([]any)
	return field(t, versions[0].(map[string]any), "schema.openAPIV3Schema.properties.spec").(map[string]any)
}

// requireFollows fails if a value is of another type than its schema says, or has fields that it does not.
func requireFollows(t *testing.T, path string, schema map[string]any, value any) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		require.Equal(t, "object", schema["type"], path)
		properties, _ := schema["properties"].(map[string]any)
		for key, inner := range value {
			of, known := properties[key].(map[string]any)
			if !known {
				of, known = schema["additionalProperties"].(map[string]any)
			}
			require.True(t, known, "%s.%s is no field", path, key)
			requireFollows(t, path+"."+key, of, inner)
		}
		required, _ := schema["required"].([]any)
		for _, key := range required {
			require.Contains(t, value, key, path)
		}
	case []any:
		require.Equal(t, "array", schema["type"], path)
		for _, inner := range value {
			requireFollows(t, path+"[]", schema["items"].(map[string]any), inner)
		}
	case string:
		if schema["x-kubernetes-int-or-string"] != true {
			require.Equal(t, "string", schema["type"], path)
		}
		if allowed, is := schema["enum"].([]any); is {
			require.Contains(t, allowed, value, path)
		}
	case bool:
		require.Equal(t, "boolean", schema["type"], path)
	default:
		require.Equal(t, "integer", schema["type"], path)
	}
}
