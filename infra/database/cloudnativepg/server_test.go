package cloudnativepg_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// program declares a namespace with a Cluster in it. change may change the arguments.
func program(change func(*cloudnativepg.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		namespace, err := kube.NewNamespace(ctx, "exercises", kube.NamespaceArgs{Name: "alice-exercises"})
		if err != nil {
			return err
		}
		args := cloudnativepg.Args{
			Args: statefulset.Args{Namespace: namespace, Image: pulumi.String("postgres:17"), Database: "pingpong",
				Settings: statefulset.Settings{StorageClass: "local-path"}},
			Settings: cloudnativepg.Settings{Instances: 3, Operator: cloudnativepg.Existing("cnpg-system"),
				APIServers: []netip.AddrPort{netip.MustParseAddrPort("10.1.2.3:6443"),
					netip.MustParseAddrPort("[fd00::1]:6443")}},
		}
		if change != nil {
			change(&args)
		}
		_, err = cloudnativepg.New(ctx, "pings", args)
		return err
	}
}

const certificate = `{"Authority": "the authority", "Server": "the certificate", "Key": "the key"}`

var kept = recorder.Outputs("pulumi:index:Stash",
	resource.PropertyMap{"output": resource.NewProperty(certificate)})

func cluster(t *testing.T, change func(*cloudnativepg.Args)) map[string]any {
	t.Helper()
	recording := recorder.Run(t, program(change))
	return recorder.Object[*unstructured.Unstructured](recording, "pings-cluster").Object
}

func field(t *testing.T, object map[string]any, path string) any {
	t.Helper()
	value, found, err := unstructured.NestedFieldNoCopy(object, strings.Split(path, ".")...)
	require.NoError(t, err)
	require.True(t, found, path)
	return value
}

// A commit that a client was told of is on two servers, and only one of these may be the next primary.
func TestAcknowledgedCommitsOutliveThePrimary(t *testing.T) {
	object := cluster(t, nil)
	require.Equal(t, map[string]any{"method": "any", "number": float64(1), "dataDurability": "required",
		"failoverQuorum": true}, field(t, object, "spec.postgresql.synchronous"))
	alone := cluster(t, func(args *cloudnativepg.Args) { args.Instances = 1 })
	require.NotContains(t, field(t, alone, "spec.postgresql"), "synchronous", "no standby would ever answer")
}

// Nothing but a person deletes a Cluster, because its volumes go with it.
func TestNothingReplacesOrDeletesACluster(t *testing.T) {
	recorded := recorder.Run(t, program(nil)).Get(t, "kubernetes:postgresql.cnpg.io/v1:Cluster", "pings-cluster")
	require.True(t, recorded.Request.GetRetainOnDelete())
	require.Equal(t, []string{"spec.bootstrap"}, recorded.Request.GetIgnoreChanges())
}

// An up takes up again what a make destroy has hibernated.
func TestAnUpWakesTheServers(t *testing.T) {
	require.Equal(t, "off", field(t, cluster(t, nil), "metadata.annotations").(map[string]any)[cloudnativepg.
		HibernationAnnotation])
}

// The server never sees a password, only what verifies it.
func TestSecretsOfTheServers(t *testing.T) {
	recording := recorder.Run(t, program(func(args *cloudnativepg.Args) {
		args.Password, args.ReaderPassword = pulumi.String("correct-horse"), pulumi.String("battery-staple")
	}), kept)
	for name, user := range map[string]string{"owner": "pingpong", "reader": "reader", "restorer": "restorer"} {
		secret := recorder.Object[*corev1.Secret](recording, "pings-"+name+"-secret")
		require.Equal(t, "postgres-"+name, secret.Name)
		require.Equal(t, corev1.SecretTypeBasicAuth, secret.Type)
		require.Equal(t, "true", secret.Labels["cnpg.io/reload"])
		require.Equal(t, user, string(secret.Data["username"]))
		require.Regexp(t, `^SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$`,
			string(secret.Data["password"]), "a newline at its end would make it a password")
	}
	tls := recorder.Object[*corev1.Secret](recording, "pings-certificate-secret")
	require.Equal(t, corev1.SecretTypeTLS, tls.Type)
	require.Equal(t, map[string][]byte{"ca.crt": []byte("the authority"), "tls.crt": []byte("the certificate"),
		"tls.key": []byte("the key")}, tls.Data)
	recording.RequireSecret(t, "correct-horse")
}

// The pods of the other engine have another label: a service of one leads to no server of the other.
func TestTheServiceLeadsToThePrimary(t *testing.T) {
	recording := recorder.Run(t, program(nil))
	service := recorder.Object[*corev1.Service](recording, "pings-service")
	require.Equal(t, "postgres-svc", service.Name)
	require.Equal(t, map[string]string{"cnpg.io/cluster": "postgres", "cnpg.io/instanceRole": "primary"},
		service.Spec.Selector)
	labels := field(t, cluster(t, nil), "spec.inheritedMetadata.labels")
	require.Equal(t, map[string]any{"app": "postgres-cluster", "app.kubernetes.io/part-of": "stateful-k3s"},
		labels)
}

func TestConnectionsOfTheServers(t *testing.T) {
	recording := recorder.Run(t, program(func(args *cloudnativepg.Args) {
		args.APIServers = append(args.APIServers, netip.MustParseAddrPort("10.1.2.3:443"))
	}))
	var policies []string
	for _, recorded := range recording.All() {
		if _, is := recorded.Object.(*networkingv1.NetworkPolicy); is && recorded.Parent() != "" {
			policies = append(policies, recorded.URN.Name())
		}
	}
	require.Equal(t, []string{"pings-api-443-egress", "pings-api-6443-egress", "pings-client-egress",
		"pings-client-ingress", "pings-operator-ingress", "pings-peers-egress", "pings-peers-ingress",
		"pings-state-egress", "pings-state-ingress"}, policies)
	api := recorder.Object[*networkingv1.NetworkPolicy](recording, "pings-api-6443-egress").Spec.Egress[0]
	require.Equal(t, int32(6443), api.Ports[0].Port.IntVal)
	require.Equal(t, "10.1.2.3/32", api.To[0].IPBlock.CIDR)
	require.Equal(t, "fd00::1/128", api.To[1].IPBlock.CIDR)
	operator := recorder.Object[*networkingv1.NetworkPolicy](recording, "pings-operator-ingress").Spec.Ingress[0]
	from := operator.From[0].NamespaceSelector.MatchLabels
	require.Equal(t, "cnpg-system", from["kubernetes.io/metadata.name"])
}

func TestParametersOfTheServers(t *testing.T) {
	object := cluster(t, func(args *cloudnativepg.Args) {
		args.Parameters = statefulset.Parameters{"work_mem": "8MB", "wal_keep_size": "1GB"}
	})
	parameters := field(t, object, "spec.postgresql.parameters").(map[string]any)
	require.Equal(t, "131072kB", parameters["shared_buffers"])
	require.Equal(t, "8MB", parameters["work_mem"])
	require.Equal(t, "1GB", parameters["wal_keep_size"])
	_, err := recorder.Try(t, program(func(args *cloudnativepg.Args) {
		args.Parameters = statefulset.Parameters{"hot_standby": "off"}
	}))
	require.ErrorContains(t, err, "postgres pings: hot_standby is CloudNativePG's to set")
}

func withHstore(args *cloudnativepg.Args) { args.Extensions = []string{"hstore"} }

func TestExtensions(t *testing.T) {
	recording := recorder.Run(t, program(withHstore))
	recorded := recording.Get(t, "kubernetes:postgresql.cnpg.io/v1:Database", "pings-database")
	require.Contains(t, recorded.DependsOn(), "pings-cluster")
	require.True(t, recorded.Request.GetRetainOnDelete(), "a hibernated server can't let it go")
	require.Equal(t, []any{map[string]any{"name": "hstore", "ensure": "present"}},
		field(t, recorder.Object[*unstructured.Unstructured](recording, "pings-database").Object,
			"spec.extensions"))
}

func TestWhatIsRequired(t *testing.T) {
	_, err := recorder.Try(t, func(ctx *pulumi.Context) error {
		_, err := cloudnativepg.New(ctx, "pings", cloudnativepg.Args{})
		return err
	})
	for _, name := range []string{"Database", "Image", "Instances", "Namespace", "Operator", "StorageClass"} {
		require.ErrorContains(t, err, name+" is required")
	}
	_, err = recorder.Try(t, program(func(args *cloudnativepg.Args) {
		args.Args.Archive = &statefulset.Archive{}
	}))
	require.ErrorContains(t, err, "postgres pings: argument Archive: is needed by server and engine, or by "+
		"neither")
	_, err = recorder.Try(t, program(func(args *cloudnativepg.Args) {
		archived(args)
		args.Args.Archive.Passphrase = pulumi.String("the passphrase")
	}))
	require.ErrorContains(t, err, "postgres pings: argument Archive: the plugin encrypts nothing")
	recorder.RequireErrors(t, program(nil), map[string]string{
		"pings":                    "declaring postgres pings: ",
		"pings-certificate-secret": "postgres pings: declaring secret postgres-server: ",
		"pings-service":            "postgres pings: declaring service postgres-svc: ",
		"pings-cluster":            "postgres pings: declaring Cluster pings-cluster: ",
		"pings-peers-egress":       "postgres pings: declaring network policy pings-peers-egress: ",
	})
}

// Everything is there before the servers start, and everything known in a first preview.
func TestTheClusterComesLast(t *testing.T) {
	recording := recorder.Run(t, program(nil), recorder.Preview())
	recorded := recording.Get(t, "kubernetes:postgresql.cnpg.io/v1:Cluster", "pings-cluster")
	for _, name := range []string{"pings-certificate-secret", "pings-owner-secret", "pings-reader-secret",
		"pings-restorer-secret", "pings-service", "exercises-default-deny"} {
		require.Contains(t, recorded.DependsOn(), name)
	}
	require.False(t, slices.ContainsFunc(recording.All(), func(r *recorder.Resource) bool {
		return r == recorded && r.Inputs["spec"].ContainsUnknowns()
	}))
}
