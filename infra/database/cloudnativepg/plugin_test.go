package cloudnativepg_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// withPlugin installs the plugin beside an operator in the namespace operators.
func withPlugin(t *testing.T, options ...recorder.Option) *recorder.Recording {
	t.Helper()
	return recorder.Run(t, plugin(t, false), options...)
}

func plugin(t *testing.T, anyNode bool) pulumi.RunFunc {
	t.Helper()
	manifest, err := cloudnativepg.PluginRelease.Manifest(t.Context())
	require.NoError(t, err)
	return func(ctx *pulumi.Context) error {
		return cloudnativepg.Existing("operators").InstallPlugin(ctx, "plugin", cloudnativepg.PluginArgs{
			Manifest: manifest, Owner: "alice.dev", Replicas: 2, AnyNode: anyNode})
	}
}

// Without the plugin, the operator would not replace a lost primary.
func TestThePluginOutlivesTheStack(t *testing.T) {
	objects := 0
	for _, recorded := range withPlugin(t).All() {
		object, is := recorded.Object.(interface {
			GetLabels() map[string]string
			GetNamespace() string
		})
		if !is {
			continue
		}
		objects++
		require.True(t, recorded.Request.GetRetainOnDelete(), recorded.URN)
		require.Equal(t, "alice.dev", object.GetLabels()["stateful-k3s/installed-by"], recorded.URN)
		require.Contains(t, []string{"", "operators"}, object.GetNamespace(), recorded.URN)
		if binding, is := recorded.Object.(*rbacv1.ClusterRoleBinding); is {
			require.Equal(t, "operators", binding.Subjects[0].Namespace, recorded.URN)
		}
		require.NotContains(t, recorded.URN, "cert-manager.io")
	}
	require.Equal(t, 16, objects)
}

// Of pods that elect a leader, only that one would ever be ready.
func TestEachPodOfThePluginServes(t *testing.T) {
	recording := withPlugin(t)
	deployment := recorder.Object[*appsv1.Deployment](recording, "plugin-deployment-barman-cloud")
	require.Equal(t, int32(2), *deployment.Spec.Replicas)
	container := deployment.Spec.Template.Spec.Containers[0]
	require.Equal(t, []string{"operator", "--server-cert=/server/tls.crt", "--server-key=/server/tls.key",
		"--client-cert=/client/tls.crt", "--server-address=:9090", "--log-level=debug"}, container.Args)
	require.Equal(t, "ghcr.io/cloudnative-pg/plugin-barman-cloud:v0.14.0", container.Image)
	affinity := deployment.Spec.Template.Spec.Affinity
	beside := affinity.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm
	require.Equal(t, map[string]string{"app.kubernetes.io/name": "cloudnative-pg"},
		beside.LabelSelector.MatchLabels)
	sidecar := container.Env[0].ValueFrom.SecretKeyRef
	const image = "ghcr.io/cloudnative-pg/plugin-barman-cloud-sidecar:v0.14.0"
	require.Equal(t, map[string]string{sidecar.Key: image},
		recorder.Object[*corev1.Secret](recording, "plugin-secret-"+sidecar.Name).StringData)
}

// An old cluster would refuse what it does not know.
func TestTheOperatorAsksThePluginOnItsNode(t *testing.T) {
	for anyNode, want := range map[bool]*string{false: new("PreferSameNode"), true: nil} {
		recording := recorder.Run(t, plugin(t, anyNode))
		service := recorder.Object[*corev1.Service](recording, "plugin-service-barman-cloud")
		require.Equal(t, want, service.Spec.TrafficDistribution)
	}
}

// The plugin trusts the certificate in the client's Secret, and the operator the one in the server's.
func TestOperatorAndPluginTrustEachOther(t *testing.T) {
	recording := withPlugin(t)
	pair := func(side string) (tls.Certificate, *x509.CertPool) {
		secret := recorder.Object[*corev1.Secret](recording, "plugin-"+side+"-secret")
		pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
		require.NoError(t, err)
		trusted := x509.NewCertPool()
		require.True(t, trusted.AppendCertsFromPEM(secret.Data["tls.crt"]))
		return pair, trusted
	}
	server, trustedServer := pair("server")
	client, trustedClient := pair("client")
	shake := func(client tls.Certificate) error {
		here, there := net.Pipe()
		go func() {
			_ = tls.Server(there, &tls.Config{Certificates: []tls.Certificate{server}, MinVersion: tls.VersionTLS13,
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trustedClient}).Handshake()
			there.Close()
		}()
		connection := tls.Client(here, &tls.Config{Certificates: []tls.Certificate{client},
			MinVersion: tls.VersionTLS13, ServerName: "barman-cloud", RootCAs: trustedServer})
		require.NoError(t, connection.Handshake())
		_, err := connection.Read(make([]byte, 1)) // a refused client is told now
		return err
	}
	require.ErrorIs(t, shake(client), io.EOF)
	require.ErrorContains(t, shake(server), "unknown certificate authority")
}

// Otherwise pods would have the certificates of before for a minute.
func TestOtherCertificatesStartOtherPods(t *testing.T) {
	mark := func(certificate string) string {
		recording := withPlugin(t, recorder.Outputs("pulumi:index:Stash",
			resource.PropertyMap{"output": resource.NewProperty(`{"Server": "` + certificate + `"}`)}))
		deployment := recorder.Object[*appsv1.Deployment](recording, "plugin-deployment-barman-cloud")
		return deployment.Spec.Template.Annotations["stateful-k3s/certificates"]
	}
	require.Regexp(t, "^[0-9a-f]{16}$", mark("a"))
	require.Equal(t, mark("a"), mark("a"))
	require.NotEqual(t, mark("a"), mark("b"))
}

func TestTheStoreFollowsItsSchema(t *testing.T) {
	schema := schemaOf(t, withPlugin(t), "plugin-customresourcedefinition-"+cloudnativepg.StoreKind)
	requireFollows(t, "spec", schema, object(t, recorder.Run(t, program(archived)), "pings-store")["spec"])
}

func TestAReleaseThatDoesNotFitIsTold(t *testing.T) {
	for manifest, message := range map[string]string{
		"": "plugin plugin: reading its release: it has no objects",
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: two}, spec: {template: {spec: {containers: " +
			"[{name: a}, {name: b}]}}}}": "plugin plugin: Deployment two: it has 2 containers, and not 1",
	} {
		_, err := recorder.Try(t, func(ctx *pulumi.Context) error {
			return cloudnativepg.Existing("operators").InstallPlugin(ctx, "plugin",
				cloudnativepg.PluginArgs{Manifest: []byte(manifest)})
		})
		require.ErrorContains(t, err, message)
	}
}
