package cluster

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	ours, theirs = "0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"
	token        = "correct-horse-battery-staple"
)

// newAPI is a cluster that meets the requirements. With the uid "" its users may not read kube-system.
func newAPI(t *testing.T, uid string) *httptest.Server {
	t.Helper()
	answers := map[string]string{
		"/version": `{"gitVersion": "v1.35.0+k3s1"}`,
		"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews": `{"kind": "SelfSubjectAccessReview", ` +
			`"apiVersion": "authorization.k8s.io/v1", "status": {"allowed": true}}`,
		"/apis/storage.k8s.io/v1/storageclasses": `{"kind": "StorageClassList", "apiVersion": ` +
			`"storage.k8s.io/v1", "items": [{"metadata": {"name": "local-path"}}]}`,
		"/apis/networking.k8s.io/v1/ingressclasses": `{"kind": "IngressClassList", "apiVersion": ` +
			`"networking.k8s.io/v1", "items": [{"metadata": {"name": "traefik"}}]}`,
		"/api/v1/nodes": `{"kind": "NodeList", "apiVersion": "v1", "items": []}`,
		"/api/v1/namespaces/kube-system/pods": `{"kind": "PodList", "apiVersion": "v1", "items": [
			{"metadata": {"name": "coredns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}}]}`,
		"/api/v1/namespaces/kube-system": `{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": ` +
			`"kube-system", "uid": "` + uid + `"}}`,
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

// authority is the certificate of every newAPI.
var authority = func() []byte {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}()

// file is a kubeconfig. Its context lab leads to a server, and its context other to another one.
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

// provider runs the program and returns the kubeconfig in the provider's state, and whether it is encrypted.
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
			require.Equal(t, identity{uid: test.id[0], fingerprint: test.id[1]}.id(), context.Cluster)
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
			", which was at https://where-it-was:6443, and another one answers: the one at "
		advice = "Nothing was changed. " +
			"To select the stack's own: kubectl config use-context, KUBECONFIG, or pulumi config set kubeContext " +
			"my-cluster. To move the stack: pulumi destroy while its own is selected, which leaves the data there, " +
			"and then pulumi up on the other one. If its own is lost: PULUMI_K8S_DELETE_UNREACHABLE=true pulumi " +
			"destroy, which forgets it, and then pulumi up, as in docs/bad-day.md"
	)
	for message, server := range map[string]string{
		meant + server.URL + " is " + theirs + ". " +
			advice: server.URL,
		meant + restricted.URL + " does not let you read its namespace kube-system, and the uid of that " +
			"namespace identifies a cluster. " + advice: restricted.URL,
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

// Users who may not read kube-system compare address and authority, even after a user who may.
func TestUsersWhoMayNotReadKubeSystem(t *testing.T) {
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
