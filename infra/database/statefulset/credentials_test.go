package statefulset_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"

	sdkcorev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	sdkmetav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func TestSecret(t *testing.T) {
	secret := recorder.Object[*corev1.Secret](recorder.Run(t, program(func(args *statefulset.Args) {
		args.Password, args.ReaderPassword = pulumi.String(`a/b:c@d e?`), pulumi.String("reader-password")
	}), kept(certificate)), "pings-secret")

	require.Equal(t, corev1.SecretTypeOpaque, secret.Type)
	verifiers := string(secret.Data["verifiers.sql"])
	delete(secret.Data, "verifiers.sql")
	tail := "@postgres-svc:5432/pingpong?sslmode=verify-full&sslrootcert=%2Frun%2Fsecrets%2Fpostgres%2Fca.crt"
	require.Equal(t, map[string][]byte{
		"URL":               []byte(`postgres://pingpong:a%2Fb%3Ac%40d%20e%3F` + tail),
		"READER_URL":        []byte(`postgres://reader:reader-password` + tail),
		"RESTORER_URL":      []byte("postgres://" + url.UserPassword("restorer", certificate).String() + tail),
		"ca.crt":            []byte("the authority"),
		"tls.crt":           []byte("the certificate"),
		"tls.key":           []byte("the key"),
		"exporter-password": []byte(certificate),
	}, secret.Data)

	lines := strings.Split(strings.TrimSpace(verifiers), "\n")
	require.Len(t, lines, 4)
	seen := map[string]bool{}
	for i, role := range []string{"owner", "reader", "restorer", "exporter"} {
		require.Regexp(t, `^\\set `+role+
			`_verifier 'SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}='$`, lines[i])
		seen[strings.Split(lines[i], "$")[1]] = true
	}
	require.Len(t, seen, 4, "each role has a salt of its own")
}

// Apps of other people can take the whole Secret, in any namespace: it lets nobody do more than the owner.
func TestSecretOfClients(t *testing.T) {
	secret := recorder.Object[*corev1.Secret](recorder.Run(t, program(func(args *statefulset.Args) {
		args.Password = pulumi.String("a/b")
	}), kept(certificate)), "pings-client")
	require.Equal(t, "postgres-client", secret.Name)
	const host = "postgres-svc.alice-exercises.svc"
	expected := map[string][]byte{}
	for key, value := range map[string]string{
		"URL": "postgres://pingpong:a%2Fb@" + host + ":5432/pingpong?sslmode=verify-full" +
			"&sslrootcert=%2Frun%2Fsecrets%2Fpostgres%2Fca.crt",
		"ca.crt": "the authority",
		"host":   host, "port": "5432", "database": "pingpong", "user": "pingpong", "password": "a/b",
		"PGHOST": host, "PGPORT": "5432", "PGDATABASE": "pingpong", "PGUSER": "pingpong", "PGPASSWORD": "a/b",
		"PGSSLMODE": "verify-full",
	} {
		expected[key] = []byte(value)
	}
	require.Equal(t, expected, secret.Data)
}

func TestCertificateIsForAllNamesOfTheServer(t *testing.T) {
	secret := recorder.Object[*corev1.Secret](recorder.Run(t, program(nil)), "pings-secret")
	authorities := x509.NewCertPool()
	require.True(t, authorities.AppendCertsFromPEM(secret.Data["ca.crt"]))
	_, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	require.NoError(t, err, "certificate and key belong together")
	block, _ := pem.Decode(secret.Data["tls.crt"])
	server, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	for _, name := range []string{
		"postgres-svc", "postgres-svc.alice-exercises", "postgres-svc.alice-exercises.svc",
		"postgres-svc.alice-exercises.svc.cluster.local",
		"postgres-ss-0.postgres-svc", "postgres-ss-0.postgres-svc.alice-exercises",
		"postgres-ss-0.postgres-svc.alice-exercises.svc",
		"postgres-ss-0.postgres-svc.alice-exercises.svc.cluster.local",
	} {
		_, err := server.Verify(x509.VerifyOptions{DNSName: name, Roots: authorities})
		require.NoError(t, err, name)
	}
	_, err = server.Verify(x509.VerifyOptions{DNSName: "postgres-svc.bob-exercises", Roots: authorities})
	require.Error(t, err)
}

func TestNewVersionsReplaceWhatTheStateKeeps(t *testing.T) {
	trigger := func(name string, change func(*statefulset.Args)) string {
		return recorder.Run(t, program(change)).Get(t, stashType,
			name).Request.GetReplacementTrigger().GetStringValue()
	}
	for _, secret := range append(statefulset.Secrets, statefulset.Salt) {
		change := func(args *statefulset.Args) { args.SecretVersions = kube.Versions{secret: "2"} }
		require.NotEqual(t, trigger("pings-"+secret, nil), trigger("pings-"+secret, change), secret)
	}
}

func TestPasswordsAreNowhereInPlainText(t *testing.T) {
	recording := recorder.Run(t, program(func(args *statefulset.Args) {
		args.Password, args.ReaderPassword = pulumi.String("given-password"), pulumi.String("given-too")
	}))
	for _, text := range []string{"given-password", "given-too", "BEGIN PRIVATE KEY", "SCRAM-SHA-256$"} {
		recording.RequireSecret(t, text)
	}
	recording = recorder.Run(t, program(nil))
	for _, name := range []string{"pings-owner", "pings-reader", "pings-restorer", "pings-exporter",
		"pings-salt"} {
		recording.RequireSecret(t, recording.Get(t, stashType,
			name).Inputs["input"].SecretValue().Element.StringValue())
	}
}

// client is a pod that logs in as owner or reader.
func client(t *testing.T, change func(*statefulset.Args),
	of func(*statefulset.Server) server.Client) *corev1.Pod {
	t.Helper()
	return recorder.Object[*corev1.Pod](recorder.Run(t, func(ctx *pulumi.Context) error {
		p, err := declare(ctx, change)
		if err != nil {
			return err
		}
		c := of(p)
		_, err = sdkcorev1.NewPod(ctx, "client", &sdkcorev1.PodArgs{
			Metadata: sdkmetav1.ObjectMetaArgs{Annotations: pulumi.StringMap{"digest": c.Digest}},
			Spec: sdkcorev1.PodSpecArgs{
				Containers: sdkcorev1.ContainerArray{sdkcorev1.ContainerArgs{
					Name:         pulumi.String("client"),
					Env:          sdkcorev1.EnvVarArray{c.Env},
					VolumeMounts: sdkcorev1.VolumeMountArray{c.Mount},
				}},
				Volumes: sdkcorev1.VolumeArray{c.Volume},
			},
		})
		return err
	}, kept(certificate)), "client")
}

func owner(p *statefulset.Server) server.Client    { return p.Owner }
func reader(p *statefulset.Server) server.Client   { return p.Reader }
func restorer(p *statefulset.Server) server.Client { return p.Restorer }

func TestClientsSeeTheirOwnURLAlone(t *testing.T) {
	for key, of := range map[string]func(*statefulset.Server) server.Client{"URL": owner, "READER_URL": reader,
		"RESTORER_URL": restorer} {
		spec := client(t, nil, of).Spec
		require.Equal(t, []corev1.Volume{{Name: "postgres-client",
			VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
				SecretName:  "postgres",
				DefaultMode: ptr.To[int32](0o444),
				Items:       []corev1.KeyToPath{{Key: key, Path: "URL"}, {Key: "ca.crt", Path: "ca.crt"}},
			}}}}, spec.Volumes)
		require.Equal(t, []corev1.VolumeMount{{Name: "postgres-client", MountPath: "/run/secrets/postgres",
			ReadOnly: true}},
			spec.Containers[0].VolumeMounts)
		require.Equal(t, []corev1.EnvVar{{Name: "URL_FILE", Value: "/run/secrets/postgres/URL"}},
			spec.Containers[0].Env)
	}
}

func TestClientsRestartWhenTheirPasswordChanges(t *testing.T) {
	digest := func(change func(*statefulset.Args), of func(*statefulset.Server) server.Client) string {
		return client(t, change, of).Annotations["digest"]
	}
	password := func(args *statefulset.Args) { args.Password = pulumi.String("another-password") }
	require.Len(t, digest(nil, owner), 8)
	require.Equal(t, digest(nil, owner), digest(nil, owner))
	require.NotEqual(t, digest(nil, owner), digest(password, owner))
	require.Equal(t, digest(nil, reader), digest(password, reader))
}
