package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func TestWrongSettingsAreToldByPreview(t *testing.T) {
	output := refused(t, command(checkout, "pulumi", "preview", "--non-interactive",
		"--config", "redisMemory=64mb", "--config", "dailyTodoSchedule=61 * * * *", "--config", "redisMemry=1Gi"))
	assert.Contains(t, output, `stateful-k3s:redisMemory: "64mb" is not a Kubernetes quantity; for example: pulumi config set redisMemory 64Mi`)
	assert.Contains(t, output, `stateful-k3s:dailyTodoSchedule: "61 * * * *" is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`)
	assert.Contains(t, output, `stateful-k3s:redisMemry: no such setting; did you mean redisMemory? To remove it: pulumi config rm redisMemry`)
}

func TestFaultsOfTheClusterAreToldAtOnce(t *testing.T) {
	c := newCluster(t)
	for namespace, labels := range map[string]map[string]string{"bob-exercises": nil,
		"bob-project": {"stateful-k3s/stack": "organization.bob"}} {
		_, err := c.CoreV1().Namespaces().Create(t.Context(),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: labels}}, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { run(t, command(".", "kubectl", "delete", "namespace", namespace)) })
	}
	output := refused(t, upWith("namePrefix=bob-", "storageClass=fast", "ingressClass=nginx"))
	assert.Contains(t, output, "the namespace bob-exercises is there, and no stack owns it: ")
	assert.Contains(t, output, "the namespace bob-project belongs to the stack organization.bob, and this is organization."+labName()+": ")
	assert.Contains(t, output, "the cluster has no storage class fast: choose one of local-path; for example: pulumi config set storageClass local-path")
	assert.Contains(t, output, "the cluster has no ingress class nginx: choose one of traefik, none; for example: pulumi config set ingressClass traefik")

	// In a namespace of the stack's own, what somebody else has made is not taken.
	for _, args := range [][]string{
		{"label", "namespace", "bob-exercises", "bob-project", "--overwrite", "stateful-k3s/stack=organization." +
			labName()},
		{"create", "--namespace", "bob-exercises", "service", "clusterip", "redis-svc", "--tcp", "80:80"},
	} {
		run(t, command(".", "kubectl", args...))
	}
	output = refused(t, command(checkout, "pulumi", "preview", "--non-interactive", "--config",
		"namePrefix=bob-"))
	assert.Contains(t, output, "services redis-svc is in the namespace bob-exercises already, and this stack did not make it: ")
}

func TestAccessThatDoesNotDoIsToldAtOnce(t *testing.T) {
	c := newCluster(t)
	run(t, command(".", "kubectl", "-n", c.namespace, "create", "serviceaccount", "guest"))
	t.Cleanup(func() { run(t, command(".", "kubectl", "-n", c.namespace, "delete", "serviceaccount", "guest")) })
	token := strings.TrimSpace(run(t, command(".", "kubectl", "-n", c.namespace, "create", "token", "guest")))
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	older := startOlderAPI(t)
	at := func(server string) func(*clientcmdapi.Config) {
		return func(config *clientcmdapi.Config) {
			for _, cluster := range config.Clusters {
				*cluster = clientcmdapi.Cluster{Server: server}
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*clientcmdapi.Config)
		says   string
	}{
		"away": {at("https://127.0.0.1:1"), "the cluster https://127.0.0.1:1 does not answer: "},
		"silent": {at("http://" + silent.Addr().String()), "the cluster http://" +
			silent.Addr().String() + " does not answer: "},
		"older Kubernetes": {at(older),
			"the cluster runs Kubernetes v1.28.15+k3s1, and the stack needs 1.29 or newer: "},
		"unknown context": {func(config *clientcmdapi.Config) { config.CurrentContext = "other" },
			"context was not found for specified context: other"},
		"few rights": {func(config *clientcmdapi.Config) {
			for _, user := range config.AuthInfos {
				*user = clientcmdapi.AuthInfo{Token: token}
			}
		}, "you lack rights in the namespaces exercises, project, storage: "},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
			require.NoError(t, err)
			test.change(config)
			path := filepath.Join(t.TempDir(), "kubeconfig")
			require.NoError(t, clientcmd.WriteToFile(*config, path))
			up := upWith()
			up.Env = append(os.Environ(), "KUBECONFIG="+path)
			assert.Contains(t, refused(t, up), test.says)
		})
	}
}

// Whoever waits for an up is told what it waits for, and can interrupt it.
func TestUpSaysWhyPodsAreNotReady(t *testing.T) {
	c := newCluster(t)
	leaveSettings(t)
	run(t, command(".", "kubectl", "-n", exercises, "create", "quota", "tight", "--hard",
		fmt.Sprintf("pods=%d", podCount[exercises])))
	t.Cleanup(func() { run(t, command(".", "kubectl", "-n", c.namespace, "delete", "quota", "tight")) })
	up := upWith("pingpongReplicas=3")
	stdout, err := up.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, up.Start())
	told := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if !told && strings.Contains(lines.Text(), " in exercises gets no pod: ") {
			told = true
			assert.Contains(t, lines.Text(), "exceeded quota: tight")
			require.NoError(t, up.Process.Signal(os.Interrupt))
		}
	}
	assert.Error(t, up.Wait())
	assert.True(t, told)
}

// startOlderAPI serves the API of the lab's cluster as one of an older version, and returns its address.
func startOlderAPI(t *testing.T) string {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	require.NoError(t, err)
	transport, err := rest.TransportFor(config)
	require.NoError(t, err)
	api, err := url.Parse(config.Host)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(api) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		assert.NoError(t, json.NewEncoder(w).Encode(version.Info{Major: "1", Minor: "28",
			GitVersion: "v1.28.15+k3s1"}))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// refused is what a command says that has to fail, and must not hang.
func refused(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	s := startSession(t, cmd)
	select {
	case err := <-s.ended:
		require.Error(t, err, "%s\n%s", cmd, s.output)
	case <-time.After(patience):
		killSession(cmd.Process.Pid)
		t.Fatalf("%s hung: %v\n%s", cmd, <-s.ended, s.output)
	}
	return s.output.String()
}

// Whoever has set something and removed it has the file of the repository again.
func TestSettingsThatAreRemovedLeaveNothing(t *testing.T) {
	tracked, err := os.ReadFile(filepath.Join(checkout, "Pulumi.dev.yaml"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "Pulumi.dev.yaml")
	require.NoError(t, os.WriteFile(file, tracked, 0o644))
	pulumi(t, checkout, "config", "set", "pingpongReplicas", "3", "--config-file", file)
	pulumi(t, checkout, "config", "rm", "pingpongReplicas", "--config-file", file)
	left, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(tracked), string(left))
}
