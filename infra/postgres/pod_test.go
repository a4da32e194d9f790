package postgres_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

var mounts = []corev1.VolumeMount{
	{Name: "data", MountPath: "/data"},
	{Name: "socket", MountPath: "/var/run/postgresql"},
	{Name: "shm", MountPath: "/dev/shm"},
	{Name: "config", MountPath: "/etc/postgresql", ReadOnly: true},
	{Name: "server", MountPath: "/run/secrets/postgres-server", ReadOnly: true},
}

// The hardening itself is tested in kube.
func TestPod(t *testing.T) {
	pod := statefulSet(t, nil).Template.Spec

	require.Equal(t, ptr.To[int64](999), pod.SecurityContext.FSGroup)
	require.Equal(t, ptr.To[int64](120), pod.TerminationGracePeriodSeconds)
	secret := func(name, key, path string, more ...corev1.KeyToPath) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "postgres", DefaultMode: ptr.To[int32](0o440),
			Items: append([]corev1.KeyToPath{{Key: key, Path: path}}, more...),
		}}}
	}
	require.Equal(t, []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "postgres-config"},
		}}},
		{Name: "socket", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "shm", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: ptr.To(quantity.MustParse("512Mi")),
		}}},
		secret("setup", "verifiers.sql", "verifiers.sql"),
		secret("server", "tls.crt", "tls.crt", corev1.KeyToPath{Key: "tls.key", Path: "tls.key"}),
		secret("exporter", "exporter-password", "password"),
	}, pod.Volumes)
	require.Len(t, pod.InitContainers, 1)
	require.Len(t, pod.Containers, 2)
}

func TestSetupContainer(t *testing.T) {
	require.Equal(t, corev1.Container{
		Name:    "setup",
		Image:   "postgres:17",
		Command: []string{"sh", "/etc/postgresql/setup.sh"},
		Env: []corev1.EnvVar{
			{Name: "VOLUME", Value: "/data"}, {Name: "PGDATA", Value: "/data/pgdata"},
			{Name: "CONFIG", Value: "/etc/postgresql"}, {Name: "DATABASE", Value: "pingpong"},
		},
		Resources: kubetest.Resources("100m", "2", "512Mi"),
		VolumeMounts: append(mounts[:5:5],
			corev1.VolumeMount{Name: "setup", MountPath: "/run/secrets/postgres-setup", ReadOnly: true}),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          kubetest.Hardened(999),
	}, statefulSet(t, nil).Template.Spec.InitContainers[0])
}

func TestServerContainer(t *testing.T) {
	require.Equal(t, corev1.Container{
		Name:  "postgres",
		Image: "postgres:17",
		Command: []string{
			"flock", "--no-fork", "--timeout", "120", "/data/lock",
			"postgres", "-c", "config_file=/etc/postgresql/postgresql.conf",
		},
		Env: []corev1.EnvVar{{Name: "PGDATA", Value: "/data/pgdata"},
			{Name: "PGDATABASE", Value: "pingpong"}},
		Ports:         []corev1.ContainerPort{{Name: "postgres", ContainerPort: 5432}},
		Resources:     kubetest.Resources("100m", "2", "512Mi"),
		StartupProbe:  open(5432, 2, 300),
		LivenessProbe: open(5432, 5, 3),
		ReadinessProbe: &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{
				"pg_isready", "--quiet", "--host", "127.0.0.1", "--username", "reader", "--dbname", "pingpong",
			}}},
			PeriodSeconds: 5, TimeoutSeconds: 5, FailureThreshold: 3,
		},
		VolumeMounts:             mounts,
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          kubetest.Hardened(999),
	}, statefulSet(t, nil).Template.Spec.Containers[0])
}

func TestExporterContainer(t *testing.T) {
	require.Equal(t, corev1.Container{
		Name:  "exporter",
		Image: exporterImage,
		Env: []corev1.EnvVar{
			{Name: "DATA_SOURCE_URI", Value: ":5432/pingpong?host=/var/run/postgresql&sslmode=disable"},
			{Name: "DATA_SOURCE_USER", Value: "exporter"},
			{Name: "DATA_SOURCE_PASS_FILE", Value: "/run/secrets/postgres-exporter/password"},
		},
		Ports:         []corev1.ContainerPort{{Name: "metrics", ContainerPort: 9187}},
		Resources:     kubetest.Resources("10m", "250m", "64Mi"),
		StartupProbe:  open(9187, 2, 30),
		LivenessProbe: open(9187, 5, 3),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "exporter", MountPath: "/run/secrets/postgres-exporter", ReadOnly: true},
			{Name: "socket", MountPath: "/var/run/postgresql", ReadOnly: true},
		},
		SecurityContext: kubetest.Hardened(65532),
	}, statefulSet(t, nil).Template.Spec.Containers[1])
}

func TestConfigMapHasTheFilesOfThePod(t *testing.T) {
	config := recorder.Object[*corev1.ConfigMap](recorder.Run(t, program(nil)), "pings-config").Data
	for _, name := range []string{"pg_hba.conf", "setup.sh", "roles.sql"} {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, string(content), config[name])
	}
	require.Contains(t, config["postgresql.conf"], "shared_buffers = '131072kB'\n")
	require.Len(t, config, 4)
}

func open(port int32, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(port)}},
		PeriodSeconds: period, TimeoutSeconds: 5, FailureThreshold: failures,
	}
}
