package cluster

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

func TestTheContextOfTheSettings(t *testing.T) {
	server := newAPI(t, ours)
	useFile(t, file(t, "https://127.0.0.1:1", server.URL, unchanged))
	kubeconfig, _ := provider(t, Access{Context: "other"})
	require.Equal(t, server.URL, kubeconfig.Clusters[ours].Server)
	_, err := recorder.Try(t, preflight(Access{Context: "nowhere"}, nil))
	require.ErrorContains(t, err, `context "nowhere" does not exist`)
}

func TestAKubeconfigOfTheSettingsIsKeptWhole(t *testing.T) {
	t.Setenv("KUBECONFIG", "/nowhere")
	server := newAPI(t, ours)
	text := file(t, "https://127.0.0.1:1", server.URL, unchanged)
	var object map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &object))
	for name, test := range map[string]struct {
		access Access
		output resource.PropertyValue
	}{
		"setting": {Access{Kubeconfig: text, Context: "other"}, resource.NewProperty("")},
		"output": {Access{From: "alice/cluster/prod/kubeconfig", Context: "other"},
			resource.NewProperty(text)},
		"object": {Access{From: "alice/cluster/prod/kubeconfig", Context: "other"},
			resource.NewProperty(resource.NewPropertyMapFromMap(object))},
		"secret output": {Access{From: "alice/cluster/prod/kubeconfig", Context: "other"},
			resource.MakeSecret(resource.NewProperty(text))},
	} {
		t.Run(name, func(t *testing.T) {
			stack := recorder.OtherStack("alice/cluster/prod", resource.PropertyMap{"kubeconfig": test.output})
			kubeconfig, secret := provider(t, test.access, stack)
			require.True(t, secret)
			context := kubeconfig.Contexts[kubeconfig.CurrentContext]
			require.Equal(t, server.URL, kubeconfig.Clusters[context.Cluster].Server)
			require.Equal(t, token, kubeconfig.AuthInfos[context.AuthInfo].Token)

			test.access.From = strings.Replace(test.access.From, "/kubeconfig", "/typo", 1)
			if test.access.From != "" {
				_, err := recorder.Try(t, preflight(test.access, nil), stack)
				require.ErrorContains(t, err,
					"kubeconfigFrom: the stack alice/cluster/prod has no output typo; pulumi stack output --stack "+
						"alice/cluster/prod shows its outputs")
			}
		})
	}
	_, err := recorder.Try(t, preflight(Access{From: "alice/cluster/nowhere/kubeconfig"}, nil))
	require.ErrorContains(t, err, `"alice/cluster/nowhere"`) // says Pulumi itself
}
