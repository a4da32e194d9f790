package e2e

import (
	"encoding/json"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/require"
)

// deployed are the stack's resources as the state has them, with their secrets in the clear.
func deployed(t *testing.T) []apitype.ResourceV3 {
	t.Helper()
	var export struct{ Deployment apitype.DeploymentV3 }
	require.NoError(t, json.Unmarshal([]byte(pulumi(t, checkout, "stack", "export", "--show-secrets")), &export))
	resources := export.Deployment.Resources
	for i := range resources {
		plain(t, resources[i].Inputs)
		plain(t, resources[i].Outputs)
	}
	return resources
}

// plain returns a value of the state with its secrets in the clear, also below it.
func plain(t *testing.T, value any) any {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		if value[resource.SigKey] == resource.SecretSig {
			var secret any
			require.NoError(t, json.Unmarshal([]byte(value["plaintext"].(string)), &secret))
			return plain(t, secret)
		}
		for key := range value {
			value[key] = plain(t, value[key])
		}
	case []any:
		for i := range value {
			value[i] = plain(t, value[i])
		}
	}
	return value
}
