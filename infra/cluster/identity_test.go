package cluster

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	ours, theirs = "0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"
	token        = "correct-horse-battery-staple"
)

// newAPI is a cluster that can take the stack. Without a uid nobody may read its kube-system.
func newAPI(t *testing.T, uid string) *httptest.Server {
	t.Helper()
	answers := map[string]string{
		"/version": `{"gitVersion": "v1.35.0+k3s1"}`,
		"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": `{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": {"allowed": true}}`,
		"/apis/storage.k8s.io/v1/storageclasses":                 `{"kind": "StorageClassList", "apiVersion": "storage.k8s.io/v1", "items": [{"metadata": {"name": "local-path"}}]}`,
		"/apis/networking.k8s.io/v1/ingressclasses":              `{"kind": "IngressClassList", "apiVersion": "networking.k8s.io/v1", "items": [{"metadata": {"name": "traefik"}}]}`,
		"/api/v1/namespaces/kube-system/pods": `{"kind": "PodList", "apiVersion": "v1", "items": [
			{"metadata": {"name": "coredns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}}]}`,
		"/api/v1/namespaces/kube-system": `{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system", "uid": "` + uid + `"}}`,
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch answer := answers[r.URL.Path]; {
		case strings.HasSuffix(r.URL.Path, "/kube-system") && uid == "":
			w.WriteHeader(http.StatusForbidden)
		case answer == "":
			w.WriteHeader(http.StatusNotFound)
		default:
			_, _ = w.Write([]byte(answer))
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// authority is that of every newAPI.
var authority = func() []byte {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}()

// file is a kubeconfig whose context lab leads to a server, and whose context other to another one.
func file(t *testing.T, server, other string, change func(*api.AuthInfo)) string {
	t.Helper()
	user := &api.AuthInfo{Token: token}
	change(user)
	text, err := clientcmd.Write(api.Config{
		Clusters: map[string]*api.Cluster{
			"lab":   {Server: server, CertificateAuthorityData: authority},
			"other": {Server: other, CertificateAuthorityData: authority},
		},
		AuthInfos: map[string]*api.AuthInfo{"alice": user},
		Contexts: map[string]*api.Context{"lab": {Cluster: "lab", AuthInfo: "alice"},
			"other": {Cluster: "other", AuthInfo: "alice"}},

		CurrentContext: "lab",
	})
	require.NoError(t, err)
	return string(text)
}

func unchanged(*api.AuthInfo) {}

func fingerprint(t *testing.T, kubeconfig string) string {
	t.Helper()
	cluster, err := Access{Kubeconfig: kubeconfig}.connect(t.Context())
	require.NoError(t, err)
	return cluster.fingerprint
}

func on(uid, fingerprint string) recorder.Option {
	return recorder.Kept("cluster", resource.NewProperty(resource.NewPropertyMapFromMap(map[string]any{
		"uid": uid, "fingerprint": fingerprint, "server": "https://where-it-was:6443",
	})))
}

// provider runs the program and returns the kubeconfig that the provider's state has, and whether it is
// encrypted there.
func provider(t *testing.T, access Access, options ...recorder.Option) (kubeconfig *api.Config, secret bool) {
	t.Helper()
	recording := recorder.Run(t, preflight(access,
		func(ctx *pulumi.Context, kubeconfig pulumi.StringInput) error {
			_, err := kube.NewProvider(ctx, "k3s", kubeconfig)
			return err
		}), options...)
	recorded := recording.Get(t, "pulumi:providers:kubernetes", "k3s")
	require.Equal(t, []string{"cluster"}, recorded.DependsOn(),
		"or a destroy that cannot reach the cluster forgets first which one it was")
	value := recorded.Inputs["kubeconfig"]
	if value.IsSecret() {
		value, secret = value.SecretValue().Element, true
	}
	kubeconfig, err := clientcmd.Load([]byte(value.StringValue()))
	require.NoError(t, err)
	return kubeconfig, secret
}

func TestTheStateKeepsTheClusterAndNoLogin(t *testing.T) {
	server := newAPI(t, ours)
	text := file(t, server.URL, "", unchanged)
	useFile(t, text)
	known := fingerprint(t, text)
	for name, test := range map[string]struct {
		options []recorder.Option
		id      []string
	}{
		"first up": {nil, []string{ours, known}},
		"later":    {[]recorder.Option{on(ours, known)}, []string{ours, known}},
		"later preview": {[]recorder.Option{on(ours, known), recorder.Preview()},
			[]string{ours, known}},
		"at another address":              {[]recorder.Option{on(ours, "sha256:0")}, []string{ours, "sha256:0"}},
		"where kube-system was not to be": {[]recorder.Option{on("", known)}, []string{"", known}},
	} {
		t.Run(name, func(t *testing.T) {
			kubeconfig, secret := provider(t, Access{}, test.options...)
			require.False(t, secret)
			context := kubeconfig.Contexts[kubeconfig.CurrentContext]
			require.Equal(t, place{uid: test.id[0], fingerprint: test.id[1]}.id(), context.Cluster)
			require.Equal(t, server.URL, kubeconfig.Clusters[context.Cluster].Server)
			require.Equal(t, authority, kubeconfig.Clusters[context.Cluster].CertificateAuthorityData)
			user := kubeconfig.AuthInfos[context.AuthInfo]
			require.Empty(t, user.Token)
			require.Equal(t, append([]string{"credential"}, append(test.id, server.URL, "")...), user.Exec.Args[3:])
		})
	}
	recording := recorder.Run(t, preflight(Access{}, nil))
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{"uid": ours, "fingerprint": known,
		"server": server.URL}),
		recording.Get(t, "pulumi:index:Stash", "cluster").Inputs["input"].ObjectValue())
}

func TestAnotherClusterIsRefused(t *testing.T) {
	server, restricted := newAPI(t, theirs), newAPI(t, "")
	const (
		meant = "this stack is on the cluster " + ours +
			", which was at https://where-it-was:6443, and another one answers: that at "
		advice = "Nothing was changed. " +
			"To select the stack's own: kubectl config use-context, KUBECONFIG, or pulumi config set kubeContext my-cluster. " +
			"To move the stack: pulumi destroy while its own is selected, which leaves the data there, and then pulumi up on the other one. " +
			"If its own is lost: PULUMI_K8S_DELETE_UNREACHABLE=true pulumi destroy, which forgets it, and then pulumi up, as in docs/bad-day.md"
	)
	for message, server := range map[string]string{
		meant + server.URL + " is " + theirs + ". " +
			advice: server.URL,
		meant + restricted.URL + " does not let you read its namespace kube-system, by whose uid clusters are told apart. " + advice: restricted.URL,
	} {
		useFile(t, file(t, server, "", unchanged))
		for _, options := range [][]recorder.Option{{on(ours, "sha256:0")},
			{on(ours, "sha256:0"), recorder.Preview()}} {
			recording, err := recorder.Try(t, preflight(Access{}, nil), options...)
			require.ErrorContains(t, err, message)
			require.Equal(t, []string{"cluster pulumi:index:Stash"}, recording.Names())
		}
		said, fault := refusedLogin(t)
		require.Equal(t, message+"\n", fault)
		inShort, _, _ := strings.Cut(message, ". Nothing")
		require.Equal(t, inShort+"; pulumi preview says what to do", said)
	}
}

// Whoever may not do that goes by address and authority, also after one who may.
func TestOneWhoMayNotReadKubeSystem(t *testing.T) {
	text := file(t, newAPI(t, "").URL, "", unchanged)
	useFile(t, text)
	for _, options := range [][]recorder.Option{nil, {on("", fingerprint(t, text))},
		{on(ours, fingerprint(t, text))}} {
		_, err := recorder.Try(t, preflight(Access{}, nil), options...)
		require.NoError(t, err)
	}
}

func TestAPreviewWithoutTheClusterKeepsItsProvider(t *testing.T) {
	useFile(t, file(t, "https://127.0.0.1:1", "", unchanged))
	recording, err := recorder.Try(t,
		preflight(Access{}, func(_ *pulumi.Context, kubeconfig pulumi.StringInput) error {
			require.Nil(t, kubeconfig)
			return nil
		}), on(ours, "sha256:0"), recorder.Preview())
	require.ErrorContains(t, err,
		"This preview does not know what the cluster would say: ") // Try takes warnings for errors
	require.Equal(t, []string{"cluster pulumi:index:Stash"}, recording.Names())
}

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
					"kubeconfigFrom: the stack alice/cluster/prod has no output typo; pulumi stack output --stack alice/cluster/prod shows those it has")
			}
		})
	}
	_, err := recorder.Try(t, preflight(Access{From: "alice/cluster/nowhere/kubeconfig"}, nil))
	require.ErrorContains(t, err, `"alice/cluster/nowhere"`) // says Pulumi itself
}

func TestLogins(t *testing.T) {
	server := newAPI(t, ours)
	const plugin = `test "$LETTER" = a && echo "$KUBERNETES_EXEC_INFO" | grep -q '"apiVersion":"client.authentication.k8s.io/v1beta1"' &&
		echo '{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1", "status": {"token": "from the plugin"}}'`
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

// refusedLogin is what Pulumi's plugin shows of a login that must be refused, and the whole fault.
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
