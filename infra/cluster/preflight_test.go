package cluster

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// runPreflight runs a program that does only that, with the user's kubeconfig.
func runPreflight(t *testing.T, kubeconfig string, options ...recorder.Option) error {
	t.Helper()
	useFile(t, kubeconfig)
	_, err := recorder.Try(t, preflight(Access{}, nil), options...)
	return err
}

// useFile makes the text the user's kubeconfig.
func useFile(t *testing.T, kubeconfig string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(kubeconfig), 0o600))
	t.Setenv("KUBECONFIG", path)
}

// preflight is a program that does only that, and then calls next with the provider's kubeconfig, if it is
// not nil.
func preflight(access Access, next func(*pulumi.Context, pulumi.StringInput) error) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		approval, err := requirements.Preflight(ctx, access)
		if err != nil || next == nil {
			return err
		}
		return next(ctx, approval.Kubeconfig)
	}
}

func leadingTo(server string) string {
	return `{"apiVersion": "v1", "kind": "Config", "current-context": "lab",
		"contexts": [{"name": "lab", "context": {"cluster": "lab"}}],
		"clusters": [{"name": "lab", "cluster": {"server": "` + server + `"}}]}`
}

func TestNoCluster(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	err := runPreflight(t, "")
	require.ErrorContains(t, err, "there is no cluster in "+os.Getenv("KUBECONFIG")+
		": invalid configuration: no configuration has been provided")
	require.ErrorContains(t, err, "; "+selection)
	err = runPreflight(t, `{"apiVersion": "v1", "kind": "Config", "current-context": "other"}`)
	require.ErrorContains(t, err, `context was not found for specified context: other`)
	t.Setenv("KUBECONFIG", "/nowhere")
	_, err = recorder.Try(t, preflight(Access{}, nil))
	require.ErrorContains(t, err, "there is no cluster in /nowhere: ")
}

func TestAClusterThatIsAway(t *testing.T) {
	const refused = `the cluster http://127.0.0.1:1 does not answer: Get "http://127.0.0.1:1/version`
	err := runPreflight(t, leadingTo("http://127.0.0.1:1"))
	require.ErrorContains(t, err, refused)
	require.ErrorContains(t, err, "connection refused; "+selection)

	// Try takes warnings for errors.
	err = runPreflight(t, leadingTo("http://127.0.0.1:1"), recorder.Preview())
	require.ErrorContains(t, err, "This preview does not know what the cluster would say: "+refused)
}

func TestAClusterThatHangsIsGivenUp(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}))
	defer server.Close()
	err := runPreflight(t, leadingTo(server.URL))
	require.ErrorContains(t, err, "the cluster "+server.URL+" does not answer: ")
}

// A preview checks a cluster that answers too.
func TestAClusterThatIsNotOne(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write([]byte(`{"gitVersion": "v1.20.0"}`))
		require.NoError(t, err)
	}))
	defer server.Close()
	for _, options := range [][]recorder.Option{nil, {recorder.Preview()}} {
		err := runPreflight(t, leadingTo(server.URL), options...)
		require.ErrorContains(t, err, "the cluster runs Kubernetes 1.20.0, and the stack needs 1.29 or newer")
		require.ErrorContains(t, err, "asking the cluster for its storage classes: ")
	}
}
