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

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

const stashType = "pulumi:index:Stash"

// program declares a namespace with a storage server, after the changes to its arguments.
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
		Image:        pulumi.String("storage"),
		Accounts:     []string{"alice-exercises", "alice-project"},
		StorageClass: "local-path",
		StorageSize:  "5Gi",
		Memory:       "128Mi",
	}
	for _, change := range changes {
		change(&args)
	}
	return storage.New(ctx, "store", args)
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
		authorities := store.Bucket("alice-project").Authorities.ToStringOutput()
		authorities.ApplyT(func(pem string) string { authority = pem; return pem })
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
	for _, name := range []string{
		"storage-svc", "storage-svc.alice-storage", "storage-svc.alice-storage.svc",
		"storage-svc.alice-storage.svc.cluster.local",
	} {
		_, err := server.Verify(x509.VerifyOptions{DNSName: name, Roots: authorities})
		require.NoError(t, err, name)
	}
}

func TestNewVersionsReplaceWhatTheStateKeeps(t *testing.T) {
	trigger := func(name string, changes ...func(*storage.Args)) string {
		stash := recorder.Run(t, program(changes...)).Get(t, stashType, name)
		return stash.Request.GetReplacementTrigger().GetStringValue()
	}
	for _, secret := range []string{"alice-exercises-key", "alice-project-key", "certificate"} {
		change := func(args *storage.Args) { args.SecretVersions = kube.Versions{secret: "2"} }
		require.NotEqual(t, trigger("store-"+secret), trigger("store-"+secret, change), secret)
	}
}

// The server reads new keys by itself, but not a new certificate.
func TestPodRestartsWithItsCertificate(t *testing.T) {
	digest := func(certificate string) string {
		kept := recorder.Outputs(stashType, resource.PropertyMap{"output": resource.NewProperty(certificate)})
		pod := recorder.Object[*appsv1.StatefulSet](recorder.Run(t, program(), kept),
			"store-statefulset").Spec.Template
		require.Len(t, pod.Annotations, 1)
		return pod.Annotations["stateful-k3s/storage-certificate"]
	}
	const first, second = `{"Authority": "a", "Server": "b", "Key": "c"}`,
		`{"Authority": "d", "Server": "e", "Key": "f"}`
	require.Equal(t, digest(first), digest(first))
	require.NotEqual(t, digest(first), digest(second))
}

// A client waits for the server, and has the key that the server knows.
func TestBucketOfTheServer(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		store, err := declare(ctx)
		if err != nil {
			return err
		}
		namespace, err := kube.NewNamespace(ctx, "project", kube.NamespaceArgs{Name: "alice-project"})
		if err != nil {
			return err
		}
		bucket := store.Bucket("alice-project")
		_, err = bucket.NewClient(ctx, "client", storage.ClientArgs{
			Namespace: namespace, App: "client", Secret: "client",
		}, bucket.Ready())
		return err
	})
	require.Contains(t, recording.Get(t, "kubernetes:core/v1:Secret", "client").DependsOn(), "store-statefulset")
	client := recorder.Object[*corev1.Secret](recording, "client").Data
	server := recorder.Object[*corev1.Secret](recording, "store-secret").Data
	require.Equal(t, "alice-project", string(client["access-key"]))
	require.Equal(t, server["alice-project"], client["secret-key"])
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
Namespace is required
StorageClass is required`)
}
