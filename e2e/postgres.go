package e2e

import (
	"strings"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	postgresSet = "postgres-ss"
	postgresPod = postgresSet + "-0"
)

// psql runs SQL as the README does it by hand, and returns bare values: a line for each row, | between
// columns.
func (c *cluster) psql(sql string) string {
	c.t.Helper()
	return strings.TrimSpace(run(c.t,
		command(".", "kubectl", "-n", c.namespace, "exec", postgresPod, "-c", "postgres", "--",
			"psql", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1", "--command", sql)))
}

// table makes an empty table for the time of the test: its name, with its columns in parentheses.
func (c *cluster) table(definition string) {
	c.t.Helper()
	name, _, _ := strings.Cut(definition, " ")
	c.psql("DROP TABLE IF EXISTS " + name)
	c.psql("CREATE TABLE " + definition)
	c.t.Cleanup(func() { c.psql("DROP TABLE " + name) })
}

// postgresClient is a visitor that may connect to Postgres and has what owner or reader need: key is that of
// their URL. Its script begins when the server can be reached.
func (c *cluster) postgresClient(key, script string) *corev1.Pod {
	c.t.Helper()
	pod := visitor(map[string]string{"postgres-client": "true"},
		`for try in $(seq 60); do pg_isready --quiet --host postgres-svc --timeout 2 && break; sleep 1; done
owner=$(cat /run/secrets/postgres/URL 2>/dev/null)
`+script)
	container := &pod.Spec.Containers[0]
	container.Image = "postgres:17"
	container.VolumeMounts = []corev1.VolumeMount{{Name: "postgres", MountPath: "/run/secrets/postgres",
		ReadOnly: true}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "postgres",
		VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "postgres", Items: []corev1.KeyToPath{{Key: key, Path: "URL"},
				{Key: "ca.crt", Path: "ca.crt"}},
		}}}}
	return pod
}

// postgresSecret is the content of a key of the Secret.
func (c *cluster) postgresSecret(key string) string {
	c.t.Helper()
	secret, err := c.CoreV1().Secrets(c.namespace).Get(c.t.Context(), "postgres", metav1.GetOptions{})
	require.NoError(c.t, err)
	return string(secret.Data[key])
}

// waitForPostgres waits until the server answers, and its pod is ready.
func (c *cluster) waitForPostgres() {
	c.t.Helper()
	eventually(c.t, func() error {
		return command(".", "kubectl", "-n", c.namespace, "exec", postgresPod, "-c", "postgres", "--", "psql",
			"--command", "SELECT 1").Run()
	})
	c.waitUntilReady()
}

// onVolume runs a script in a pod that has the data of Postgres in /data.
func (c *cluster) onVolume(script string) {
	c.t.Helper()
	pod := visitor(nil, script)
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-" + postgresPod},
	}}}
	output, status := c.runPod(pod)
	require.Equal(c.t, int32(0), status, output)
}
