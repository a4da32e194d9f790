package e2e

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// changes are what a person does to a stack whose databases fail over, while its apps are used.
var changes = []loss{
	{"the stack is destroyed and comes back", testDestroyAndUpOnNodes},
	{"an up is interrupted", testAnUpIsInterrupted},
	{"a minor version comes", testAMinorVersion},
	{"secrets change", testSecretsChange},
	{"a node and servers are added", testServersAreAdded},
	{"a volume can't grow", testVolumesThatCannotGrow},
}

func testDestroyAndUpOnNodes(t *testing.T, m manyNodes) {
	m.underLoad(func(*traffic.Pings) {
		claims := claimsOf(m.Cluster)
		m.Make("destroy")
		assert.Empty(t, m.Pods(servers))
		assert.Equal(t, claims, claimsOf(m.Cluster))
		m.Make("up")
		assert.Equal(t, claims, claimsOf(m.Cluster))
	})
}

// testAnUpIsInterrupted kills an up that restarts all servers, at a random moment.
func testAnUpIsInterrupted(t *testing.T, m manyNodes) {
	random := rounds.Random(t, "UP")
	memory := fmt.Sprintf("%dMi", 513+random.IntN(64))
	m.underLoad(func(*traffic.Pings) {
		m.Set(map[string]string{"postgresMemory": memory}, nil)
		proc.KillWithin(t, random, time.Minute, lab.Make(m.Dir, "up", three))
		m.Make("up")
		m.waitForServers(3, memoryOf, memory)
	})
}

// testAMinorVersion gives the servers another image of the same major version. Standbys get it first, and one
// of them then becomes the primary.
func testAMinorVersion(t *testing.T, m manyNodes) {
	minor := "18." + strconv.Itoa(100+rand.IntN(900))
	registry := m.Shell(`printf %s "$STATEFUL_K3S_REGISTRY"`)
	access := registryAccess(t, three)
	repository, err := name.NewRepository(registry + "/library/postgres")
	require.NoError(t, err)
	image, err := remote.Image(repository.Tag("18"), access...)
	require.NoError(t, err)
	config, err := image.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.Config.Labels = map[string]string{"minor": minor}
	image, err = mutate.ConfigFile(image, config)
	require.NoError(t, err)
	require.NoError(t, remote.Write(repository.Tag(minor), image, access...))
	m.underLoad(func(*traffic.Pings) {
		old := primary(m.Cluster)
		m.Set(map[string]string{"postgresImage": "postgres:" + minor}, nil)
		m.Make("up")
		m.waitForServers(3, imageOf, "postgres:"+minor)
		assert.NotEqual(t, old.UID, primary(m.Cluster).UID)
	})
}

// testSecretsChange replaces the passwords and certificates of all databases. No server restarts for it.
func testSecretsChange(t *testing.T, m manyNodes) {
	running := pods(m.Cluster, servers)
	secrets := func() []string {
		return []string{m.Field("secret", "postgres-owner", "{.data.password}"),
			m.Field("secret", "postgres-server", `{.data.tls\.crt}`)}
	}
	were := secrets()
	m.underLoad(func(*traffic.Pings) {
		version := strconv.Itoa(2 + rand.IntN(1e6))
		m.Set(map[string]string{"secretVersions": "postgres-passwords=" + version +
			"; postgres-certificates=" + version}, nil)
		m.Make("up")
		for i, secret := range secrets() {
			assert.NotEqual(t, were[i], secret)
		}
	})
	assert.Equal(t, running, pods(m.Cluster, servers))
}

// testServersAreAdded adds a node and a fourth server to each database, which goes there, and takes all of it
// away again.
func testServersAreAdded(t *testing.T, m manyNodes) {
	count := strings.Count(m.Kubectl("get", "nodes", "--output", "name"), "\n")
	volumes := func() string { return m.Kubectl("get", "persistentvolumes", "--output", "name") }
	were := volumes()
	m.underLoad(func(*traffic.Pings) {
		m.Make("lab-up", fmt.Sprintf("NODES=%d", count+1))
		added := fmt.Sprintf("%s-%d", three, count)
		m.WaitForNode(added, true)
		m.Set(map[string]string{"instances": "4"}, nil)
		m.Make("up")
		image := imageOf(primary(m.Cluster).Spec.Containers[0])
		m.waitForServers(4, imageOf, image)
		for _, namespace := range []string{exercises, project} {
			assert.Equal(t, 4, m.In(namespace).Spread(servers), namespace)
		}
		m.Set(map[string]string{"instances": "3"}, nil)
		m.Make("up")
		m.waitForServers(3, imageOf, image)
		wait.Until(t, func() error { // a pod on the node, without a controller, deletes them
			if now := volumes(); now != were {
				return fmt.Errorf("volumes of servers that were taken away are there:\n%s", now)
			}
			return nil
		})
		m.drain(added)
	})
}

// testVolumesThatCannotGrow asks for larger volumes than local-path can make of those that are there.
func testVolumesThatCannotGrow(t *testing.T, m manyNodes) {
	m.Set(map[string]string{"postgresStorageSize": "2Gi"}, nil)
	t.Cleanup(func() { m.Shell("pulumi config rm postgresStorageSize") })
	m.underLoad(func(*traffic.Pings) {
		said, err := lab.Make(m.Dir, "up", three).CombinedOutput()
		require.Error(t, err)
		for _, namespace := range []string{exercises, project} {
			for _, server := range m.In(namespace).Pods(servers) { // each has a claim of its name
				assert.Contains(t, string(said), fmt.Sprintf("postgresStorageSize: the claim %s in the namespace %s "+
					"has 1Gi, and cannot have 2Gi: ", server.Name, namespace))
			}
		}
	})
}

// waitForServers waits until each database has so many servers, all ready and alike in something.
func (m manyNodes) waitForServers(count int, something func(corev1.Container) string, wanted string) {
	for _, namespace := range []string{exercises, project} {
		wait.Until(m.Cluster.T, func() error {
			pods := m.In(namespace).Pods(servers)
			for _, server := range pods {
				if is := something(server.Spec.Containers[0]); is != wanted || !kube.IsReady(&server) {
					return fmt.Errorf("server %s in %s has %s, and not %s, or is not ready", server.Name, namespace, is,
						wanted)
				}
			}
			if len(pods) != count {
				return fmt.Errorf("%s has %d servers", namespace, len(pods))
			}
			return nil
		})
	}
}

func imageOf(server corev1.Container) string { return server.Image }

func memoryOf(server corev1.Container) string { return server.Resources.Limits.Memory().String() }
