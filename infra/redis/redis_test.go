package redis_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/redis"
)

const (
	componentType = "stateful-k3s:redis:Redis"
	stashType     = "pulumi:index:Stash"

	fillerImage = "registry.example.com/redisfiller:dev@" + recorder.Digest
)

// program declares a namespace with Redis in it, whose arguments can be changed before.
func program(change func(*redis.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		namespace, err := kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{Name: "alice-exercises"})
		if err != nil {
			return err
		}
		args := redis.Args{
			Namespace:       namespace,
			Image:           "redis:8",
			FillerImage:     pulumi.String(fillerImage),
			PasswordVersion: "1",
			StorageClass:    "local-path",
			StorageSize:     "100Mi",
			Memory:          "64Mi",
		}
		if change != nil {
			change(&args)
		}
		_, err = redis.New(ctx, "train", args)
		return err
	}
}

func TestRedisHasTheseParts(t *testing.T) {
	for name, options := range map[string][]recorder.Option{"update": nil, "preview": {recorder.Preview()}} {
		t.Run(name, func(t *testing.T) {
			recording := recorder.Run(t, program(nil), options...)
			require.Equal(t, []string{
				"exercises kubernetes:core/v1:Namespace",
				"exercises-default-deny kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"exercises-dns kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"train stateful-k3s:redis:Redis",
				"train/train-client-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"train/train-client-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"train/train-config kubernetes:core/v1:ConfigMap",
				"train/train-password pulumi:index:Stash",
				"train/train-secret kubernetes:core/v1:Secret",
				"train/train-service kubernetes:core/v1:Service",
				"train/train-statefulset kubernetes:apps/v1:StatefulSet",
				"train/train-statefulset-budget kubernetes:policy/v1:PodDisruptionBudget",
			}, recording.Names())
		})
	}
}

func TestRedisPartsFollowTheHouseRules(t *testing.T) {
	recording := recorder.Run(t, program(nil))
	namespace := []string{"exercises", "exercises-default-deny", "exercises-dns"}
	for name, part := range map[string]struct {
		object    metav1.Object
		inCluster string
		dependsOn []string
		labels    map[string]string
	}{
		"train-config": {
			object:    recorder.Object[*corev1.ConfigMap](recording, "train-config"),
			inCluster: "redis-config", dependsOn: namespace,
		},
		"train-secret": {
			object:    recorder.Object[*corev1.Secret](recording, "train-secret"),
			inCluster: "redis", dependsOn: append(namespace, "train-password"),
		},
		"train-service": {
			object:    recorder.Object[*corev1.Service](recording, "train-service"),
			inCluster: "redis-svc", dependsOn: namespace, labels: map[string]string{"app": "redis"},
		},
		"train-statefulset": {
			object:    recorder.Object[*appsv1.StatefulSet](recording, "train-statefulset"),
			inCluster: "redis-stset",
			dependsOn: append(namespace, "train-config", "train-password", "train-secret", "train-service"),
		},
	} {
		labels := map[string]string{
			"app.kubernetes.io/name":       "redis",
			"app.kubernetes.io/part-of":    "stateful-k3s",
			"app.kubernetes.io/managed-by": "pulumi",
		}
		for key, value := range part.labels {
			labels[key] = value
		}
		require.Equal(t, "alice-exercises", part.object.GetNamespace(), name)
		require.Equal(t, part.inCluster, part.object.GetName(), name)
		require.Equal(t, labels, part.object.GetLabels(), name)
		require.Equal(t, map[string]string{"pulumi.com/patchFieldManager": "stateful-k3s",
			"pulumi.com/patchForce": "true"}, part.object.GetAnnotations(), name)
		for _, recorded := range recording.All() {
			if recorded.URN.Name() == name {
				require.Equal(t, part.dependsOn, recorded.DependsOn(), name)
				require.False(t, recorded.Request.GetRetainOnDelete(), name)
			}
		}
	}
}

func TestService(t *testing.T) {
	service := recorder.Object[*corev1.Service](recorder.Run(t, program(nil)), "train-service")
	require.Equal(t, corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone,
		Selector:  map[string]string{"app": "redisapp"},
		Ports:     []corev1.ServicePort{{Name: "redis", Port: 6379}},
	}, service.Spec)
}

func TestStatefulSet(t *testing.T) {
	spec := recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program(nil)), "train-statefulset").Spec

	require.Equal(t, "redis-svc", spec.ServiceName)
	require.Equal(t, ptr.To[int32](2), spec.Replicas)
	require.Equal(t, appsv1.ParallelPodManagement, spec.PodManagementPolicy)
	require.Equal(t, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "redisapp"}}, spec.Selector)
	require.Equal(t, "redisapp", spec.Template.Labels["app"])
	require.Equal(t, &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
		WhenScaled:  appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
	}, spec.PersistentVolumeClaimRetentionPolicy)

	require.Len(t, spec.VolumeClaimTemplates, 1)
	require.Equal(t, "redis-data-storage", spec.VolumeClaimTemplates[0].Name)
	require.Equal(t, ptr.To("local-path"), spec.VolumeClaimTemplates[0].Spec.StorageClassName)
	require.Equal(t, quantity.MustParse("100Mi"),
		spec.VolumeClaimTemplates[0].Spec.Resources.Requests["storage"])
}

// The hardening itself is tested in kube.
func TestPod(t *testing.T) {
	pod := recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program(nil)),
		"train-statefulset").Spec.Template.Spec

	require.Equal(t, ptr.To[int64](999), pod.SecurityContext.FSGroup)
	require.Equal(t, []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "redis-config"},
		}}},
		{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "redis", DefaultMode: ptr.To[int32](0o440),
		}}},
	}, pod.Volumes)

	require.Len(t, pod.Containers, 2)
	http := func(path string, period, failures int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path,
				Port: intstr.FromInt32(8080)}},
			PeriodSeconds: period, TimeoutSeconds: 5, FailureThreshold: failures,
		}
	}
	require.Equal(t, corev1.Container{
		Name:  "redisfiller",
		Image: fillerImage,
		Env: []corev1.EnvVar{
			{Name: "REDIS_ADDR", Value: "localhost:6379"},
			{Name: "REDIS_PASSWORD_FILE", Value: "/run/secrets/redis/password"},
			{Name: "PORT", Value: "8080"},
		},
		Ports:           []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		Resources:       kubetest.Resources("10m", "250m", "32Mi"),
		StartupProbe:    http("/livez", 2, 30),
		LivenessProbe:   http("/livez", 5, 3),
		ReadinessProbe:  http("/readyz", 5, 3),
		VolumeMounts:    []corev1.VolumeMount{{Name: "secret", MountPath: "/run/secrets/redis", ReadOnly: true}},
		SecurityContext: kubetest.Hardened(65532),
	}, pod.Containers[0])

	ping := func(period, failures int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{
				"sh", "-c", `[ "$(REDISCLI_AUTH=$(cat /run/secrets/redis/password) redis-cli ping)" = PONG ]`,
			}}},
			PeriodSeconds: period, TimeoutSeconds: 5, FailureThreshold: failures,
		}
	}
	require.Equal(t, corev1.Container{
		Name:  "redis",
		Image: "redis:8",
		Command: []string{"sh", "/etc/redis/start.sh", "/data/appendonlydir", "redis-server",
			"/etc/redis/redis.conf"},
		Ports:          []corev1.ContainerPort{{Name: "redis", ContainerPort: 6379}},
		Resources:      kubetest.Resources("50m", "500m", "64Mi"),
		StartupProbe:   ping(2, 300),
		ReadinessProbe: ping(5, 3),
		LivenessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(6379)}},
			PeriodSeconds: 5, TimeoutSeconds: 5, FailureThreshold: 3,
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "redis-data-storage", MountPath: "/data"},
			{Name: "config", MountPath: "/etc/redis", ReadOnly: true},
			{Name: "secret", MountPath: "/run/secrets/redis", ReadOnly: true},
		},
		SecurityContext: kubetest.Hardened(999),
	}, pod.Containers[1])
}

func TestConfig(t *testing.T) {
	config := recorder.Object[*corev1.ConfigMap](recorder.Run(t, program(nil)), "train-config")
	golden, err := os.ReadFile("testdata/redis.conf")
	require.NoError(t, err)
	require.Equal(t, string(golden), config.Data["redis.conf"])
}

// What was answered stays, whatever a power cut has left behind it.
func TestZerosAreCutOffTheAppendOnlyFile(t *testing.T) {
	script := recorder.Object[*corev1.ConfigMap](recorder.Run(t, program(nil)), "train-config").Data["start.sh"]
	start := func(dir string) string {
		said, err := exec.Command("sh", "-c", script, "start.sh", dir, "echo", "started").CombinedOutput()
		require.NoError(t, err, string(said))
		return string(said)
	}
	const command = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\x00\xff\x00\r\n"
	zeros := func(number int) string { return strings.Repeat("\x00", number) }
	for name, test := range map[string]struct{ before, after string }{
		"whole":           {command, command},
		"empty":           {"", ""},
		"one":             {command + zeros(1), command},
		"a page":          {command + zeros(4096), command},
		"many":            {command + zeros(1_000_000), command},
		"zeros alone":     {zeros(200_000), ""},
		"broken off":      {command + "*3\r\n$3\r\nSE" + zeros(512), command + "*3\r\n$3\r\nSE"},
		"in the middle":   {command + zeros(512) + command, command + zeros(512) + command},
		"long":            {strings.Repeat(command, 20_000) + zeros(70_000), strings.Repeat(command, 20_000)},
		"line feeds stay": {command + "\n\n" + zeros(3), command + "\n\n"},
	} {
		dir := t.TempDir()
		snapshot := "REDIS" + zeros(8) // ends in a checksum
		after := map[string]string{"appendonly.aof.1.incr.aof": test.after,
			"appendonly.aof.2.incr.aof": test.after, "appendonly.aof.1.base.rdb": snapshot}
		for file := range after {
			content := test.before
			if strings.HasSuffix(file, ".rdb") {
				content = snapshot
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600))
		}
		said := start(dir)
		require.Equal(t, test.before != test.after, strings.Contains(said, " zeros off the end of "), "%s: %s",
			name, said)
		require.True(t, strings.HasSuffix(said, "started\n"), "%s: %s", name, said)
		for file, wanted := range after {
			content, err := os.ReadFile(filepath.Join(dir, file))
			require.NoError(t, err)
			require.True(t, wanted == string(content), "%s: %s has %d bytes instead of %d", name, file, len(content),
				len(wanted))
		}
	}
	require.Equal(t, "started\n", start(filepath.Join(t.TempDir(), "none")), "on a new volume")
}

func TestOnlyClientsConnect(t *testing.T) {
	kubetest.RequireConnection(t, recorder.Run(t, program(nil)), "train-client", "alice-exercises",
		kubetest.Label("redis-client", "true"), kubetest.Label("app", "redisapp"), 6379)
}

func TestPasswordIsNowhereInPlainText(t *testing.T) {
	given := func(args *redis.Args) { args.Password = pulumi.String("given-password") }
	recording := recorder.Run(t, program(given))
	recording.RequireSecret(t, "given-password")
	recording.RequireSecret(t, `\x67\x69\x76\x65\x6e\x2d\x70\x61\x73\x73\x77\x6f\x72\x64`)

	recording = recorder.Run(t, program(nil))
	recording.RequireSecret(t, recording.Get(t, stashType,
		"train-password").Inputs["input"].SecretValue().Element.StringValue())
}

func TestSecret(t *testing.T) {
	given := func(args *redis.Args) { args.Password = pulumi.String(`a"b\ é`) }
	secret := recorder.Object[*corev1.Secret](recorder.Run(t, program(given)), "train-secret")
	require.Equal(t, corev1.SecretTypeOpaque, secret.Type)
	require.Equal(t, map[string][]byte{
		"password":  []byte(`a"b\ é`),
		"auth.conf": []byte(`requirepass "\x61\x22\x62\x5c\x20\xc3\xa9"` + "\n"),
	}, secret.Data)
}

func TestPodsRestartOnChanges(t *testing.T) {
	annotations := func(change func(*redis.Args)) map[string]string {
		return recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program(change)),
			"train-statefulset").Spec.Template.Annotations
	}
	before := annotations(func(args *redis.Args) { args.Password = pulumi.String("first-password") })
	require.Equal(t, map[string]string{
		"stateful-k3s/redis-config":   "e52efb6d",
		"stateful-k3s/redis-password": "1d849810",
	}, before)

	password := annotations(func(args *redis.Args) { args.Password = pulumi.String("second-password") })
	require.NotEqual(t, before["stateful-k3s/redis-password"], password["stateful-k3s/redis-password"])
	config := annotations(func(args *redis.Args) { args.Memory = "128Mi" })
	require.NotEqual(t, before["stateful-k3s/redis-config"], config["stateful-k3s/redis-config"])
}

// Only what follows from the password and the built image is unknown in a preview: no fixed name is taken
// from an output.
func TestPreview(t *testing.T) {
	recording := recorder.Run(t, program(func(args *redis.Args) {
		args.FillerImage = pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
	}), recorder.Preview())

	require.Equal(t, resource.MakeSecret(resource.MakeComputed(resource.NewProperty(""))),
		recording.Get(t, "kubernetes:core/v1:Secret", "train-secret").Inputs["data"])
	expected := recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program(nil)), "train-statefulset")
	expected.Spec.Template.Annotations["stateful-k3s/redis-password"] = recorder.Unknown
	expected.Spec.Template.Spec.Containers[0].Image = recorder.Unknown
	require.Equal(t, expected, recorder.Object[*appsv1.StatefulSet](recording, "train-statefulset"))
}

func TestComponent(t *testing.T) {
	recording := recorder.Run(t, program(
		func(args *redis.Args) { args.Password = pulumi.String("given-password") }))
	require.Equal(t, resource.PropertyMap{
		"namespace":       resource.NewProperty("alice-exercises"),
		"image":           resource.NewProperty("redis:8"),
		"fillerImage":     resource.NewProperty(fillerImage),
		"replicas":        resource.NewProperty(2.0),
		"password":        resource.MakeSecret(resource.NewProperty("given-password")),
		"passwordVersion": resource.NewProperty("1"),
		"storageClass":    resource.NewProperty("local-path"),
		"storageSize":     resource.NewProperty("100Mi"),
		"memory":          resource.NewProperty("64Mi"),
	}, recording.Get(t, componentType, "train").Inputs)
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{"addresses": []any{
		"redis-stset-0.redis-svc.alice-exercises.svc:6379",
		"redis-stset-1.redis-svc.alice-exercises.svc:6379",
	}}), recording.Outputs("train"))
}

func TestDeclarationErrors(t *testing.T) {
	recorder.RequireErrors(t, program(nil), map[string]string{
		"train":                "declaring redis train: ",
		"train-password":       "redis train: declaring password train-password: ",
		"train-secret":         "redis train: declaring secret redis: ",
		"train-config":         "redis train: declaring config map redis-config: ",
		"train-client-egress":  "redis train: declaring network policy train-client-egress: ",
		"train-client-ingress": "redis train: declaring network policy train-client-ingress: ",
		"train-service":        "redis train: declaring service redis-svc: ",
		"train-statefulset":    "redis train: declaring stateful set redis-stset: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *redis.Args) { *args = redis.Args{} }))
	require.ErrorContains(t, err, `redis train: FillerImage is required
Image is required
Memory is required
Namespace is required
PasswordVersion is required
StorageClass is required
StorageSize is required`)

	_, err = recorder.Try(t, program(func(args *redis.Args) { args.Memory = "64 MB" }))
	require.ErrorContains(t, err, `redis train: reading Memory "64 MB": `)
}
