package cluster

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

func TestLogins(t *testing.T) {
	server := newAPI(t, ours)
	const plugin = `version=client.authentication.k8s.io/v1beta1
		test "$LETTER" = a && echo "$KUBERNETES_EXEC_INFO" | grep -q "\"apiVersion\":\"$version\"" &&
		echo '{"kind": "ExecCredential", "apiVersion": "'$version'", "status": {"token": "from the plugin"}}'`
	for name, test := range map[string]struct {
		user func(*api.AuthInfo)
		want clientauthentication.ExecCredentialStatus
	}{
		"token": {unchanged, clientauthentication.ExecCredentialStatus{Token: token}},
		"plugin": {func(user *api.AuthInfo) {
			*user = api.AuthInfo{Exec: &api.ExecConfig{
				APIVersion: "client.authentication.k8s.io/v1beta1", Command: "sh", Args: []string{"-c", plugin},
				Env: []api.ExecEnvVar{{Name: "LETTER", Value: "a"}}, InteractiveMode: api.NeverExecInteractiveMode,
			}}
		}, clientauthentication.ExecCredentialStatus{Token: "from the plugin"}},
	} {
		t.Run(name, func(t *testing.T) {
			useFile(t, file(t, server.URL, "", test.user))
			var said, faults bytes.Buffer
			require.NoError(t, Credential(t.Context(), &said, &faults,
				[]string{ours, "sha256:0", "https://elsewhere", "lab"}))
			var credential clientauthentication.ExecCredential
			require.NoError(t, json.Unmarshal(said.Bytes(), &credential))
			require.Equal(t, "client.authentication.k8s.io/v1", credential.APIVersion)
			require.Equal(t, "ExecCredential", credential.Kind)
			require.Equal(t, &test.want, credential.Status)
			require.Empty(t, faults.String())
		})
	}
}

func TestALoginThatCannotBePassedOn(t *testing.T) {
	useFile(t, file(t, newAPI(t, ours).URL, "",
		func(user *api.AuthInfo) { *user = api.AuthInfo{Username: "alice", Password: token} }))
	_, err := recorder.Try(t, preflight(Access{}, nil))
	require.ErrorContains(t, err,
		"the user of your kubeconfig has a password or an auth-provider for the cluster https://127.0.0.1:")
	require.NotContains(t, err.Error(), token)
}

func TestALostClusterIsNamedWithItsAddress(t *testing.T) {
	useFile(t, file(t, "https://127.0.0.1:1", "", unchanged))
	said, fault := refusedLogin(t)
	const want = "this stack is on the cluster " + ours +
		", which was at https://where-it-was:6443: the cluster https://127.0.0.1:1 does not answer: "
	require.Contains(t, fault, want)
	require.Contains(t, fault, selection)
	require.Contains(t, said, want)
	require.NotContains(t, said, selection)
}

// refusedLogin returns what Pulumi's plugin shows of a login that must be refused, and the whole fault.
func refusedLogin(t *testing.T) (shown, fault string) {
	t.Helper()
	var out, faults bytes.Buffer
	require.NoError(t, Credential(t.Context(), &out, &faults,
		[]string{ours, "sha256:0", "https://where-it-was:6443", ""}))
	var credential clientauthentication.ExecCredential
	require.NoError(t, json.Unmarshal(out.Bytes(), &credential))
	require.Nil(t, credential.Status)
	return credential.Kind, faults.String()
}
