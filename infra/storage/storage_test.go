package storage_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

const (
	componentType = "stateful-k3s:storage:Storage"
	stashType     = "pulumi:index:Stash"

	image = "registry.example.com/storage:dev@" + recorder.Digest
)

// program declares a namespace with a storage server in it, whose arguments can be changed before.
func program(changes ...func(*storage.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := declare(ctx, changes...)
		return err
	}
}

func declare(ctx *pulumi.Context, changes ...func(*storage.Args)) (*storage.Storage, error) {
	namespace, err := kube.NewNamespace(ctx, "storage", kube.NamespaceArgs{Name: "alice-storage"})
	if err != nil {
		return nil, err
	}
	args := storage.Args{
		Namespace:    namespace,
		Image:        pulumi.String(image),
		Accounts:     []string{"alice-exercises", "alice-project"},
		KeysVersion:  "1",
		TLSVersion:   "1",
		StorageClass: "local-path",
		StorageSize:  "5Gi",
		Memory:       "128Mi",
	}
	for _, change := range changes {
		change(&args)
	}
	return storage.New(ctx, "store", args)
}

// kept has the state hold the same for every stash. It is a certificate, and will do for a key.
func kept(text string) recorder.Option {
	return recorder.Outputs(stashType, resource.PropertyMap{"output": resource.NewProperty(text)})
}

const certificate = `{"Authority": "the authority", "Server": "the certificate", "Key": "the key"}`

func TestStorageHasTheseParts(t *testing.T) {
	for name, options := range map[string][]recorder.Option{"update": nil, "preview": {recorder.Preview()}} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{
				"storage kubernetes:core/v1:Namespace",
				"storage-default-deny kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"storage-dns kubernetes:networking.k8s.io/v1:NetworkPolicy",
				"store stateful-k3s:storage:Storage",
				"store/store-alice-exercises-key pulumi:index:Stash",
				"store/store-alice-project-key pulumi:index:Stash",
				"store/store-certificate pulumi:index:Stash",
				"store/store-secret kubernetes:core/v1:Secret",
				"store/store-service kubernetes:core/v1:Service",
				"store/store-statefulset kubernetes:apps/v1:StatefulSet",
				"store/store-statefulset-budget kubernetes:policy/v1:PodDisruptionBudget",
			}, recorder.Run(t, program(), options...).Names())
		})
	}
}

func TestStoragePartsFollowTheHouseRules(t *testing.T) {
	recording := recorder.Run(t, program())
	namespace := []string{"storage", "storage-default-deny", "storage-dns"}
	stashes := []string{"store-alice-exercises-key", "store-alice-project-key", "store-certificate"}
	for name, part := range map[string]struct {
		object    metav1.Object
		inCluster string
		dependsOn []string
	}{
		"store-secret": {recorder.Object[*corev1.Secret](recording, "store-secret"), "storage",
			append(namespace, stashes...)},
		"store-service": {recorder.Object[*corev1.Service](recording, "store-service"), "storage-svc", namespace},
		"store-statefulset": {
			recorder.Object[*appsv1.StatefulSet](recording, "store-statefulset"), "storage-ss",
			append(namespace, "store-certificate", "store-secret", "store-service"),
		},
	} {
		require.Equal(t, "alice-storage", part.object.GetNamespace(), name)
		require.Equal(t, part.inCluster, part.object.GetName(), name)
		require.Equal(t, map[string]string{
			"app.kubernetes.io/name":       "storage",
			"app.kubernetes.io/part-of":    "stateful-k3s",
			"app.kubernetes.io/managed-by": "pulumi",
		}, part.object.GetLabels(), name)
		for _, recorded := range recording.All() {
			if recorded.URN.Name() == name {
				require.Equal(t, part.dependsOn, recorded.DependsOn(), name)
				require.False(t, recorded.Request.GetRetainOnDelete(), name)
			}
		}
	}
}

func TestStatefulSet(t *testing.T) {
	recording := recorder.Run(t, program())
	spec := recorder.Object[*appsv1.StatefulSet](recording, "store-statefulset").Spec
	require.Equal(t, "storage-svc", spec.ServiceName)
	require.Equal(t, ptr.To[int32](1), spec.Replicas)
	require.Equal(t, "storage", spec.Template.Labels["app"])
	require.Len(t, spec.VolumeClaimTemplates, 1)
	require.Equal(t, "data", spec.VolumeClaimTemplates[0].Name)
	require.Equal(t, ptr.To("local-path"), spec.VolumeClaimTemplates[0].Spec.StorageClassName)
	require.Equal(t, quantity.MustParse("5Gi"), spec.VolumeClaimTemplates[0].Spec.Resources.Requests["storage"])
	require.Equal(t, appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
		spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted)
	require.Equal(t, corev1.ServiceSpec{
		ClusterIP:                corev1.ClusterIPNone,
		Selector:                 map[string]string{"app": "storage"},
		Ports:                    []corev1.ServicePort{{Name: "https", Port: 9000}},
		PublishNotReadyAddresses: true,
	}, recorder.Object[*corev1.Service](recording, "store-service").Spec)
}

// The hardening itself is tested in kube.
func TestPod(t *testing.T) {
	pod := recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program()),
		"store-statefulset").Spec.Template.Spec
	require.Equal(t, ptr.To[int64](65532), pod.SecurityContext.FSGroup)
	secret := func(name string, items ...corev1.KeyToPath) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "storage", DefaultMode: ptr.To[int32](0o440), Items: items,
		}}}
	}
	require.Equal(t, []corev1.Volume{
		secret("accounts", corev1.KeyToPath{Key: "alice-exercises", Path: "alice-exercises"},
			corev1.KeyToPath{Key: "alice-project", Path: "alice-project"}),
		secret("server", corev1.KeyToPath{Key: "tls.crt", Path: "tls.crt"},
			corev1.KeyToPath{Key: "tls.key", Path: "tls.key"}),
	}, pod.Volumes)
	probe := func(period, failures int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/livez",
				Port: intstr.FromInt32(9000), Scheme: corev1.URISchemeHTTPS}},
			PeriodSeconds: period, TimeoutSeconds: 5, FailureThreshold: failures,
		}
	}
	require.Equal(t, []corev1.Container{{
		Name:  "storage",
		Image: image,
		Env: []corev1.EnvVar{
			{Name: "PORT", Value: "9000"},
			{Name: "DATA_DIR", Value: "/data"},
			{Name: "BUCKET", Value: "backups"},
			{Name: "ACCOUNTS_DIR", Value: "/run/secrets/accounts"},
			{Name: "CERT_FILE", Value: "/run/secrets/server/tls.crt"},
			{Name: "KEY_FILE", Value: "/run/secrets/server/tls.key"},
		},
		Ports:          []corev1.ContainerPort{{Name: "https", ContainerPort: 9000}},
		Resources:      kubetest.Resources("50m", "2", "128Mi"),
		StartupProbe:   probe(2, 30),
		LivenessProbe:  probe(5, 3),
		ReadinessProbe: probe(5, 3),
		VolumeMounts: []corev1.VolumeMount{
			{Name: "data", MountPath: "/data"},
			{Name: "accounts", MountPath: "/run/secrets/accounts", ReadOnly: true},
			{Name: "server", MountPath: "/run/secrets/server", ReadOnly: true},
		},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          kubetest.Hardened(65532),
	}}, pod.Containers)
}

func TestSecret(t *testing.T) {
	secret := recorder.Object[*corev1.Secret](recorder.Run(t, program(), kept(certificate)), "store-secret")
	require.Equal(t, map[string][]byte{
		"tls.crt":         []byte("the certificate"),
		"tls.key":         []byte("the key"),
		"alice-exercises": []byte(certificate),
		"alice-project":   []byte(certificate),
	}, secret.Data)
}

func TestKeysAreNowhereInPlainText(t *testing.T) {
	recording := recorder.Run(t, program())
	keys := map[string]bool{}
	for _, name := range []string{"store-alice-exercises-key", "store-alice-project-key", "store-certificate"} {
		key := recording.Get(t, stashType, name).Inputs["input"].SecretValue().Element.StringValue()
		recording.RequireSecret(t, key)
		keys[key] = true
	}
	require.Len(t, keys, 3, "each account has a key of its own")
}

func TestCertificateIsForAllNamesOfTheServer(t *testing.T) {
	var authority string
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		store, err := declare(ctx)
		if err != nil {
			return err
		}
		store.Bucket("alice-project").Authorities.ToStringOutput().ApplyT(
			func(pem string) string { authority = pem; return pem })
		return nil
	})
	secret := recorder.Object[*corev1.Secret](recording, "store-secret")
	authorities := x509.NewCertPool()
	require.True(t, authorities.AppendCertsFromPEM([]byte(authority)))
	_, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	require.NoError(t, err, "certificate and key belong together")
	block, _ := pem.Decode(secret.Data["tls.crt"])
	server, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	for _, name := range []string{"storage-svc", "storage-svc.alice-storage", "storage-svc.alice-storage.svc",
		"storage-svc.alice-storage.svc.cluster.local"} {
		_, err := server.Verify(x509.VerifyOptions{DNSName: name, Roots: authorities})
		require.NoError(t, err, name)
	}
}

func TestNewVersionsReplaceWhatTheStateKeeps(t *testing.T) {
	trigger := func(name string, changes ...func(*storage.Args)) string {
		return recorder.Run(t, program(changes...)).Get(t, stashType,
			name).Request.GetReplacementTrigger().GetStringValue()
	}
	for name, change := range map[string]func(*storage.Args){
		"store-alice-exercises-key": func(args *storage.Args) { args.KeysVersion = "2" },
		"store-alice-project-key":   func(args *storage.Args) { args.KeysVersion = "2" },
		"store-certificate":         func(args *storage.Args) { args.TLSVersion = "2" },
	} {
		require.NotEqual(t, trigger(name), trigger(name, change), name)
	}
}

// The server reads keys again by itself.
func TestPodRestartsWithItsCertificate(t *testing.T) {
	annotations := func(options ...recorder.Option) map[string]string {
		return recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program(), options...),
			"store-statefulset").Spec.Template.Annotations
	}
	before := annotations(kept(certificate))
	require.Len(t, before, 1)
	const annotation = "stateful-k3s/storage-certificate"
	require.Equal(t, before[annotation], annotations(kept(certificate))[annotation])
	require.NotEqual(t, before[annotation],
		annotations(kept(`{"Authority": "a", "Server": "b", "Key": "c"}`))[annotation])
}

// Only what follows from secrets and the built image is unknown in a preview: no fixed name is taken from an
// output.
func TestPreview(t *testing.T) {
	recording := recorder.Run(t, program(func(args *storage.Args) {
		args.Image = pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
	}), recorder.Preview())
	expected := recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program()), "store-statefulset")
	expected.Spec.Template.Annotations["stateful-k3s/storage-certificate"] = recorder.Unknown
	expected.Spec.Template.Spec.Containers[0].Image = recorder.Unknown
	require.Equal(t, expected, recorder.Object[*appsv1.StatefulSet](recording, "store-statefulset"))
}

func TestComponent(t *testing.T) {
	recording := recorder.Run(t, program())
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"namespace":    "alice-storage",
		"image":        image,
		"accounts":     []any{"alice-exercises", "alice-project"},
		"keysVersion":  "1",
		"tlsVersion":   "1",
		"storageClass": "local-path",
		"storageSize":  "5Gi",
		"memory":       "128Mi",
	}), recording.Get(t, componentType, "store").Inputs)
	require.Equal(t, resource.NewPropertyMapFromMap(
		map[string]any{"endpoint": "https://storage-svc.alice-storage.svc:9000"}),
		recording.Outputs("store"))
}

// client declares a namespace beside the server, whose pods may use a bucket.
func client(bucketOf func(*storage.Storage) storage.Bucket) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		store, err := declare(ctx)
		if err != nil {
			return err
		}
		namespace, err := kube.NewNamespace(ctx, "project", kube.NamespaceArgs{Name: "alice-project"})
		if err != nil {
			return err
		}
		bucket := bucketOf(store)
		pods := kube.Pods{Namespace: namespace, Labels: map[string]string{"app": "client"}}
		if err := bucket.Allow(ctx, "client-bucket", pods, "stores things"); err != nil {
			return err
		}
		_, err = kube.NewSecret(ctx, "client-secret",
			kube.SecretArgs{Namespace: namespace, App: "client", Name: "client", Data: map[string]pulumi.StringInput{
				"access-key": bucket.AccessKey, "secret-key": bucket.SecretKey,
			}}, bucket.Ready())
		return err
	}
}

func TestBucketOfTheServer(t *testing.T) {
	var bucket storage.Bucket
	recording := recorder.Run(t, client(func(s *storage.Storage) storage.Bucket {
		bucket = s.Bucket("alice-project")
		return bucket
	}))
	kubetest.RequireConnectionInto(t, recording, "client-bucket", "alice-project", "alice-storage",
		kubetest.Label("app", "client"), kubetest.Label("app", "storage"), 9000)
	require.Equal(t, "https://storage-svc.alice-storage.svc:9000", bucket.Endpoint)
	require.Equal(t, "us-east-1", bucket.Region)
	require.Equal(t, "backups", bucket.Name)
	require.True(t, bucket.PathStyle)
	require.Contains(t, recording.Get(t, "kubernetes:core/v1:Secret", "client-secret").DependsOn(),
		"store-statefulset")
	secret, server := recorder.Object[*corev1.Secret](recording, "client-secret"),
		recorder.Object[*corev1.Secret](recording, "store-secret")
	require.Equal(t, "alice-project", string(secret.Data["access-key"]))
	require.Equal(t, server.Data["alice-project"], secret.Data["secret-key"])
}

func TestBucketElsewhere(t *testing.T) {
	recording := recorder.Run(t, client(func(*storage.Storage) storage.Bucket {
		return storage.Bucket{
			Endpoint:  "https://s3.example.com:8443",
			AccessKey: pulumi.String("access"), SecretKey: pulumi.String("secret"),
			Networks: []kube.Network{{CIDR: "10.1.2.0/24"}},
		}
	}))
	policy := recorder.Object[*networkingv1.NetworkPolicy](recording, "client-bucket-egress")
	require.Equal(t, "alice-project", policy.Namespace)
	require.Equal(t, kubetest.Label("app", "client"), policy.Spec.PodSelector)
	require.Equal(t, []networkingv1.NetworkPolicyEgressRule{{
		To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.1.2.0/24",
			Except: []string{}}}},
		Ports: []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(corev1.ProtocolTCP),
			Port: ptr.To(intstr.FromInt32(8443))}},
	}}, policy.Spec.Egress)
	require.NotContains(t, recording.Get(t, "kubernetes:core/v1:Secret", "client-secret").DependsOn(),
		"store-statefulset")
}

func TestDeclarationErrors(t *testing.T) {
	recorder.RequireErrors(t, program(), map[string]string{
		"store":                   "declaring storage store: ",
		"store-alice-project-key": "storage store: declaring password store-alice-project-key: ",
		"store-certificate":       "storage store: declaring certificate store-certificate: ",
		"store-secret":            "storage store: declaring secret storage: ",
		"store-service":           "storage store: declaring service storage-svc: ",
		"store-statefulset":       "storage store: declaring stateful set storage-ss: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *storage.Args) { *args = storage.Args{} }))
	require.ErrorContains(t, err, `storage store: Accounts is required
Image is required
KeysVersion is required
Memory is required
Namespace is required
StorageClass is required
StorageSize is required
TLSVersion is required`)
}
