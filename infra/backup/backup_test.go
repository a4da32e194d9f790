package backup_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

const (
	componentType = "stateful-k3s:backup:Backup"
	image         = "registry.example.com/backup:dev@" + recorder.Digest
)

// program declares a storage server, a namespace with a Postgres, and its backups, whose arguments can be
// changed before.
func program(changes ...func(*backup.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		store, err := kubetest.NewStorage(ctx, "alice-project")
		if err != nil {
			return err
		}
		namespace, database, err := kubetest.NewDatabase(ctx, "project", "todo")
		if err != nil {
			return err
		}
		args := backup.Args{
			Namespace: namespace,
			Image:     pulumi.String(image),
			Database:  database,
			Bucket:    store.Bucket("alice-project"),
			Settings: backup.Settings{
				Schedule: "0 2 * * *", TimeZone: "Etc/UTC", KeepDaily: 7, KeepWeekly: 4, KeepMonthly: 6,
				ScratchSize: "4Gi", Memory: "512Mi", Compression: 3, Timeout: time.Hour,
			},
		}
		for _, change := range changes {
			change(&args)
		}
		_, err = backup.New(ctx, "todos", args)
		return err
	}
}

// elsewhere keeps the backups in a bucket of somebody else.
func elsewhere(args *backup.Args) {
	args.Bucket = storage.Bucket{
		Endpoint: "https://s3.example.com", Region: "eu-north-1", Name: "attic", Prefix: "house/north",
		AccessKey: pulumi.ToSecret(pulumi.String("the-access-key")).(pulumi.StringOutput),
		SecretKey: pulumi.ToSecret(pulumi.String("the-secret-key")).(pulumi.StringOutput),
		Networks:  kube.Internet,
	}
}

var parts = []string{
	"todos-bucket-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"todos-bucket-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"todos-cronjob kubernetes:batch/v1:CronJob",
	"todos-database-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"todos-database-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"todos-job kubernetes:batch/v1:Job",
	"todos-metrics-bucket-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"todos-metrics-bucket-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"todos-metrics-budget kubernetes:policy/v1:PodDisruptionBudget",
	"todos-metrics-deployment kubernetes:apps/v1:Deployment",
	"todos-secret kubernetes:core/v1:Secret",
}

// declared lists the parts of the component.
func declared(recording *recorder.Recording) (names []string) {
	for _, recorded := range recording.All() {
		if recorded.Parent() == "todos" {
			names = append(names, recorded.URN.Name()+" "+string(recorded.URN.Type()))
		}
	}
	slices.Sort(names)
	return names
}

func TestBackupHasTheseParts(t *testing.T) {
	for name, options := range map[string][]recorder.Option{"update": nil, "preview": {recorder.Preview()}} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, parts, declared(recorder.Run(t, program(), options...)))
		})
	}
}

func TestBackupPartsFollowTheHouseRules(t *testing.T) {
	recording := recorder.Run(t, program())
	for name, part := range map[string]struct {
		object         metav1.Object
		inCluster, app string
	}{
		"todos-secret": {recorder.Object[*corev1.Secret](recording, "todos-secret"), "backup",
			"backup"},
		"todos-job": {recorder.Object[*batchv1.Job](recording, "todos-job"), "backup", "backup"},
		"todos-cronjob": {recorder.Object[*batchv1.CronJob](recording, "todos-cronjob"), "backup",
			"backup"},
		"todos-metrics-deployment": {recorder.Object[*appsv1.Deployment](recording, "todos-metrics-deployment"),
			"backup-metrics", "backup-metrics"},
	} {
		require.Equal(t, "alice-project", part.object.GetNamespace(), name)
		require.Equal(t, part.inCluster, part.object.GetName(), name)
		require.Equal(t, map[string]string{
			"app.kubernetes.io/name":       part.app,
			"app.kubernetes.io/part-of":    "stateful-k3s",
			"app.kubernetes.io/managed-by": "pulumi",
		}, part.object.GetLabels(), name)
		require.Equal(t, "stateful-k3s", part.object.GetAnnotations()["pulumi.com/patchFieldManager"], name)
	}
	for _, recorded := range recording.All() {
		if recorded.Parent() == "todos" {
			require.False(t, recorded.Request.GetRetainOnDelete(), recorded.URN)
			require.True(t, slices.Contains(recorded.DependsOn(), "project-default-deny") ||
				slices.Contains(recorded.DependsOn(), "storage-default-deny"), recorded.URN)
		}
	}
}

// Nothing here waits for the Job of another database, nor a schedule for its own first backup.
func TestWhatComesFirst(t *testing.T) {
	recording := recorder.Run(t, program())
	namespace := []string{"project", "project-default-deny", "project-dns"}
	for name, want := range map[string][]string{
		"todos-job":                append(namespace, "todos-secret", "db-statefulset", "store-statefulset"),
		"todos-cronjob":            append(namespace, "todos-secret"),
		"todos-metrics-deployment": append(namespace, "todos-secret", "store-statefulset"),
	} {
		for _, recorded := range recording.All() {
			if recorded.URN.Name() == name {
				require.ElementsMatch(t, want, recorded.DependsOn(), name)
			}
		}
	}
}

// fromSecret is the volume with some files of the Secret.
func fromSecret(files ...string) corev1.Volume {
	volume := corev1.Volume{Name: "bucket", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: "backup", DefaultMode: ptr.To[int32](0o444),
	}}}
	for _, file := range files {
		volume.Secret.Items = append(volume.Secret.Items, corev1.KeyToPath{Key: file, Path: file})
	}
	return volume
}

var (
	bucketMount = corev1.VolumeMount{Name: "bucket", MountPath: "/run/secrets/bucket", ReadOnly: true}
	bucketEnv   = []corev1.EnvVar{
		{Name: "S3_ENDPOINT", Value: "https://storage-svc.alice-storage.svc:9000"},
		{Name: "S3_REGION", Value: "us-east-1"},
		{Name: "S3_BUCKET", Value: "backups"},
		{Name: "S3_PREFIX", Value: "alice-project"},
		{Name: "S3_PATH_STYLE", Value: "true"},
		{Name: "S3_ACCESS_KEY_FILE", Value: "/run/secrets/bucket/access-key"},
		{Name: "S3_SECRET_KEY_FILE", Value: "/run/secrets/bucket/secret-key"},
		{Name: "S3_CA_FILE", Value: "/run/secrets/bucket/ca.crt"},
	}
)

// The hardening itself is tested in kube.
func TestPodOfTheJob(t *testing.T) {
	recording := recorder.Run(t, program())
	job := recorder.Object[*batchv1.Job](recording, "todos-job").Spec
	require.Equal(t, job, recorder.Object[*batchv1.CronJob](recording, "todos-cronjob").Spec.JobTemplate.Spec,
		"by hand, by schedule and at first, all is the same")
	require.Equal(t, "backup", job.Template.Labels["app"])
	pod := job.Template.Spec
	require.Equal(t, ptr.To[int64](999), pod.SecurityContext.FSGroup)
	require.Equal(t, []corev1.Volume{
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(quantity.MustParse("4Gi"))}}},
		{Name: "server", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(quantity.MustParse("4Gi"))}}},
		fromSecret("access-key", "ca.crt", "secret-key"),
		{Name: "postgres-client", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "postgres", DefaultMode: ptr.To[int32](0o444),
			Items: []corev1.KeyToPath{{Key: "READER_URL", Path: "URL"}, {Key: "ca.crt", Path: "ca.crt"}},
		}}},
	}, pod.Volumes)
	require.Equal(t, []corev1.Container{{
		Name:  "backup",
		Image: image,
		Args:  []string{"run"},
		Env: append(slices.Clone(bucketEnv),
			corev1.EnvVar{Name: "URL_FILE", Value: "/run/secrets/postgres/URL"},
			corev1.EnvVar{Name: "SCRATCH_DIR", Value: "/scratch"},
			corev1.EnvVar{Name: "SERVER_DIR", Value: "/server"},
			corev1.EnvVar{Name: "HOME", Value: "/scratch"},
			corev1.EnvVar{Name: "TMPDIR", Value: "/scratch"},
			corev1.EnvVar{Name: "COMPRESSION_LEVEL", Value: "3"},
			corev1.EnvVar{Name: "KEEP_DAILY", Value: "7"},
			corev1.EnvVar{Name: "KEEP_WEEKLY", Value: "4"},
			corev1.EnvVar{Name: "KEEP_MONTHLY", Value: "6"},
			corev1.EnvVar{Name: "TIMEOUT", Value: "1h0m0s"},
			corev1.EnvVar{Name: "TERMINATION_LOG", Value: "/dev/termination-log"},
		),
		Resources: withScratch(kubetest.Resources("50m", "2", "256Mi"), "4Gi"),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "scratch", MountPath: "/scratch"},
			{Name: "server", MountPath: "/server"},
			bucketMount,
			{Name: "postgres-client", MountPath: "/run/secrets/postgres", ReadOnly: true},
		},
		TerminationMessagePath:   "/dev/termination-log",
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          kubetest.Hardened(999),
	}}, pod.Containers)
}

// Code in a database can do there what it likes: there is no Secret, nor what the program writes, nor its
// processes.
func TestContainerOfTheThrowawayServers(t *testing.T) {
	recording := recorder.Run(t, program(replaced))
	for _, job := range []string{"todos-job", "todos-restore-job"} {
		pod := recorder.Object[*batchv1.Job](recording, job).Spec.Template.Spec
		require.Equal(t, []corev1.Container{{
			Name:                     "server",
			Image:                    image,
			Args:                     []string{"server"},
			Env:                      []corev1.EnvVar{{Name: "SERVER_DIR", Value: "/server"}},
			Resources:                withScratch(kubetest.Resources("50m", "2", "512Mi"), "4Gi"),
			VolumeMounts:             []corev1.VolumeMount{{Name: "server", MountPath: "/server"}},
			RestartPolicy:            ptr.To(corev1.ContainerRestartPolicyAlways),
			TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
			SecurityContext:          kubetest.Hardened(999),
		}}, pod.InitContainers)
		require.Nil(t, pod.ShareProcessNamespace)
		require.False(t, pod.HostPID)
	}
}

func withScratch(resources corev1.ResourceRequirements, size string) corev1.ResourceRequirements {
	resources.Limits["ephemeral-storage"] = quantity.MustParse(size)
	return resources
}

// The app itself ends a try in time, and says so; Kubernetes' deadline would take its log away.
func TestDeadlineLeavesTimeForEveryTry(t *testing.T) {
	for _, timeout := range []time.Duration{time.Minute, time.Hour} {
		job := recorder.Object[*batchv1.Job](recorder.Run(t,
			program(func(args *backup.Args) { args.Timeout = timeout })), "todos-job").Spec
		require.Greater(t, *job.ActiveDeadlineSeconds, int64(timeout.Seconds())*int64(*job.BackoffLimit+1))
		require.Nil(t, job.TTLSecondsAfterFinished)
		require.Equal(t, ptr.To("backup"), job.PodFailurePolicy.Rules[0].OnExitCodes.ContainerName)
	}
}

func TestSettings(t *testing.T) {
	recording := recorder.Run(t, program(func(args *backup.Args) {
		args.Settings = backup.Settings{
			Schedule: "30 4 * * 0", TimeZone: "Europe/Helsinki", KeepDaily: 1, KeepWeekly: 2, KeepMonthly: 3,
			ScratchSize: "1Gi", Memory: "1Gi", Compression: 19, Recipient: "age1recipient", Timeout: 90 * time.Minute,
		}
	}))
	cron := recorder.Object[*batchv1.CronJob](recording, "todos-cronjob").Spec
	require.Equal(t, "30 4 * * 0", cron.Schedule)
	require.Equal(t, ptr.To("Europe/Helsinki"), cron.TimeZone)
	require.Equal(t, ptr.To[int64](12*3600), cron.StartingDeadlineSeconds)
	pod := recorder.Object[*batchv1.Job](recording, "todos-job").Spec.Template.Spec
	require.Equal(t, ptr.To(quantity.MustParse("1Gi")), pod.Volumes[0].EmptyDir.SizeLimit)
	require.Equal(t, ptr.To(quantity.MustParse("1Gi")), pod.Volumes[1].EmptyDir.SizeLimit)
	require.Equal(t, withScratch(kubetest.Resources("50m", "2", "1Gi"), "1Gi"), pod.InitContainers[0].Resources)
	require.Equal(t, withScratch(kubetest.Resources("50m", "2", "256Mi"), "1Gi"), pod.Containers[0].Resources)
	for name, value := range map[string]string{
		"COMPRESSION_LEVEL": "19", "KEEP_DAILY": "1", "KEEP_WEEKLY": "2", "KEEP_MONTHLY": "3",
		"TIMEOUT": "1h30m0s", "AGE_RECIPIENT": "age1recipient",
	} {
		require.Contains(t, pod.Containers[0].Env, corev1.EnvVar{Name: name, Value: value})
	}
}

func TestMetrics(t *testing.T) {
	deployment := recorder.Object[*appsv1.Deployment](recorder.Run(t, program()),
		"todos-metrics-deployment").Spec
	require.Equal(t, ptr.To[int32](1), deployment.Replicas)
	require.Equal(t, "backup-metrics", deployment.Template.Labels["app"])
	pod := deployment.Template.Spec
	require.Equal(t, []corev1.Volume{fromSecret("access-key", "ca.crt", "secret-key")}, pod.Volumes)
	require.Len(t, pod.Containers, 1)
	container := pod.Containers[0]
	require.Equal(t, image, container.Image)
	require.Equal(t, []string{"metrics"}, container.Args)
	require.Equal(t, append(slices.Clone(bucketEnv), corev1.EnvVar{Name: "PORT", Value: "8080"},
		corev1.EnvVar{Name: "METRICS_PORT", Value: "9090"}), container.Env)
	require.Equal(t, []corev1.VolumeMount{bucketMount}, container.VolumeMounts)
	require.Equal(t, kubetest.Hardened(65532), container.SecurityContext)
}

func TestSecret(t *testing.T) {
	recording := recorder.Run(t, program())
	server := recorder.Object[*corev1.Secret](recording, "store-secret").Data
	secret := recorder.Object[*corev1.Secret](recording, "todos-secret").Data
	require.Equal(t, "alice-project", string(secret["access-key"]))
	require.Equal(t, server["alice-project"], secret["secret-key"])
	require.Contains(t, string(secret["ca.crt"]), "BEGIN CERTIFICATE")
	require.Len(t, secret, 3)
	recording.RequireSecret(t, string(secret["secret-key"]))
}

func TestConnections(t *testing.T) {
	recording := recorder.Run(t, program())
	job, metrics, store := kubetest.Label("app", "backup"), kubetest.Label("app", "backup-metrics"),
		kubetest.Label("app", "storage")
	kubetest.RequireConnection(t, recording, "todos-database", "alice-project", job,
		kubetest.Label("app", "postgres"), 5432)
	kubetest.RequireConnectionInto(t, recording, "todos-bucket", "alice-project", "alice-storage", job, store,
		9000)
	kubetest.RequireConnectionInto(t, recording, "todos-metrics-bucket", "alice-project", "alice-storage",
		metrics, store, 9000)
}

func TestBucketElsewhere(t *testing.T) {
	recording := recorder.Run(t, program(elsewhere))
	require.Equal(t, slices.DeleteFunc(slices.Clone(parts), func(part string) bool {
		return part == parts[1] || part == parts[7] // the halves that end at the storage server
	}), declared(recording))
	for _, name := range []string{"todos-bucket-egress", "todos-metrics-bucket-egress"} {
		rule := recorder.Object[*networkingv1.NetworkPolicy](recording, name).Spec.Egress[0]
		require.Len(t, rule.To, len(kube.Internet), name)
		require.Equal(t, ptr.To(intstr.FromInt32(443)), rule.Ports[0].Port, name)
	}
	require.Equal(t, map[string][]byte{"access-key": []byte("the-access-key"),
		"secret-key": []byte("the-secret-key")},
		recorder.Object[*corev1.Secret](recording, "todos-secret").Data)
	recording.RequireSecret(t, "the-access-key")
	recording.RequireSecret(t, "the-secret-key")
	pod := recorder.Object[*batchv1.Job](recording, "todos-job").Spec.Template.Spec
	require.Equal(t, fromSecret("access-key", "secret-key"), pod.Volumes[2])
	require.Equal(t, []corev1.EnvVar{
		{Name: "S3_ENDPOINT", Value: "https://s3.example.com"},
		{Name: "S3_REGION", Value: "eu-north-1"},
		{Name: "S3_BUCKET", Value: "attic"},
		{Name: "S3_PREFIX", Value: "house/north/alice-project"},
		{Name: "S3_PATH_STYLE", Value: "false"},
	}, pod.Containers[0].Env[:5])
	for _, variable := range pod.Containers[0].Env {
		require.NotEqual(t, "S3_CA_FILE", variable.Name)
	}
	require.Equal(t, "https://s3.example.com/attic/house/north/alice-project",
		recording.Outputs("todos")["location"].StringValue())
}

// Only what follows from the built image is unknown in a preview.
func TestPreview(t *testing.T) {
	recording := recorder.Run(t, program(func(args *backup.Args) {
		args.Image = pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
	}), recorder.Preview())
	full := recorder.Run(t, program())
	job := recorder.Object[*batchv1.Job](full, "todos-job")
	job.Spec.Template.Spec.InitContainers[0].Image = recorder.Unknown
	job.Spec.Template.Spec.Containers[0].Image = recorder.Unknown
	require.Equal(t, job, recorder.Object[*batchv1.Job](recording, "todos-job"))
	metrics := recorder.Object[*appsv1.Deployment](full, "todos-metrics-deployment")
	metrics.Spec.Template.Spec.Containers[0].Image = recorder.Unknown
	require.Equal(t, metrics, recorder.Object[*appsv1.Deployment](recording, "todos-metrics-deployment"))
}

func TestComponent(t *testing.T) {
	recording := recorder.Run(t, program())
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"namespace":   "alice-project",
		"image":       image,
		"database":    "postgres-svc.alice-project.svc:5432",
		"endpoint":    "https://storage-svc.alice-storage.svc:9000",
		"region":      "us-east-1",
		"bucket":      "backups",
		"prefix":      "",
		"schedule":    "0 2 * * *",
		"timeZone":    "Etc/UTC",
		"keepDaily":   7.0,
		"keepWeekly":  4.0,
		"keepMonthly": 6.0,
		"scratchSize": "4Gi",
		"memory":      "512Mi",
		"compression": 3.0,
		"recipient":   "",
		"timeout":     "1h0m0s",
	}), recording.Get(t, componentType, "todos").Inputs)
	require.Equal(t, resource.NewPropertyMapFromMap(
		map[string]any{"location": "https://storage-svc.alice-storage.svc:9000/backups/alice-project"}),
		recording.Outputs("todos"))
}

func TestDeclarationErrors(t *testing.T) {
	recorder.RequireErrors(t, program(), map[string]string{
		"todos":                        "declaring backup todos: ",
		"todos-secret":                 "backup todos: declaring secret backup: ",
		"todos-database-egress":        "backup todos: declaring network policy todos-database-egress: ",
		"todos-bucket-ingress":         "backup todos: declaring network policy todos-bucket-ingress: ",
		"todos-metrics-bucket-ingress": "backup todos: declaring network policy todos-metrics-bucket-ingress: ",
		"todos-job":                    "backup todos: declaring job backup: ",
		"todos-cronjob":                "backup todos: declaring cron job backup: ",
		"todos-metrics-deployment":     "backup todos: declaring deployment backup-metrics: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *backup.Args) { *args = backup.Args{} }))
	require.ErrorContains(t, err, `backup todos: Bucket.AccessKey is required
Bucket.Endpoint is required
Bucket.Name is required
Bucket.Region is required
Bucket.SecretKey is required
Compression is required
Database is required
Image is required
Memory is required
Namespace is required
Schedule is required
ScratchSize is required
TimeZone is required
Timeout is required`)
}

func TestPodsOpenAnEncryptedArchive(t *testing.T) {
	recording := recorder.Run(t, program(func(args *backup.Args) {
		args.ArchivePassphrase = pulumi.ToSecret(pulumi.String("close-it-tight")).(pulumi.StringOutput)
	}))
	require.Equal(t, "close-it-tight",
		string(recorder.Object[*corev1.Secret](recording, "todos-secret").Data["archive-passphrase"]))
	recording.RequireSecret(t, "close-it-tight")
	pod := recorder.Object[*batchv1.Job](recording, "todos-job").Spec.Template.Spec
	require.Contains(t, pod.Containers[0].Env,
		corev1.EnvVar{Name: "ARCHIVE_PASSPHRASE_FILE", Value: "/run/secrets/bucket/archive-passphrase"})
}
