package server

import (
	"fmt"
	"net"
	"net/url"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	clientDir = "/run/secrets/postgres"
	urlFile   = "URL"
	caFile    = "ca.crt"
	sslMode   = "verify-full"
)

// Client is what a pod in the server's namespace needs to log in as one role: Volume in the pod, Mount and
// Env in the container. $URL_FILE is then the path of a file with the URL, which contains the role's password
// and the path of the authority's certificate (ca.crt, in the same folder). Both files follow changes of
// password and certificate.
type Client struct {
	Volume corev1.VolumeArgs
	Mount  corev1.VolumeMountArgs
	Env    corev1.EnvVarArgs
	// Digest changes with URL and certificate, for kube.Pod.RestartOn. It is not secret.
	Digest pulumi.StringOutput
}

// ClientArgs describes a client. Everything is required.
type ClientArgs struct {
	Namespace *kube.Namespace
	// Secret is the name of the Secret that has URL under Key, and Authority under AuthorityKey.
	Secret, Key, AuthorityKey string
	URL, Authority            pulumi.StringInput
}

// NewClient returns the client that logs in by a URL in a Secret.
func NewClient(args ClientArgs) Client {
	return Client{
		Volume: kube.SecretVolume("postgres-client", args.Secret, 0o444,
			map[string]string{args.Key: urlFile, args.AuthorityKey: caFile}),
		Mount: kube.ReadOnly("postgres-client", clientDir),
		Env:   kube.Env("URL_FILE", clientDir+"/"+urlFile),
		Digest: kube.Digest(args.Namespace.Name+"/"+args.Secret+"/"+args.Key,
			pulumi.Sprintf("%s\n%s", args.URL, args.Authority)),
	}
}

// Parts returns what apps of other people read from a Secret, with the names that charts and libpq give it:
// URL, authority (ca.crt), and the parts of the URL. Host is a name that every namespace can use.
// Source: https://www.postgresql.org/docs/17/libpq-envars.html
func Parts(host, role, database string,
	password, authority pulumi.StringInput) map[string]pulumi.StringInput {
	port := pulumi.String(fmt.Sprint(Port))
	return map[string]pulumi.StringInput{
		urlFile: URL(host, role, database, password), caFile: authority,
		"host": pulumi.String(host), "port": port, "database": pulumi.String(database),
		"user": pulumi.String(role), "password": password,
		"PGHOST": pulumi.String(host), "PGPORT": port, "PGDATABASE": pulumi.String(database),
		"PGUSER": pulumi.String(role), "PGPASSWORD": password, "PGSSLMODE": pulumi.String(sslMode),
	}
}

// URL returns the URL by which a role logs in to a database. Both libpq and pgx understand it, in a pod that
// has a Client.
// Source: https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-CONNSTRING-URIS
func URL(host, role, database string, password pulumi.StringInput) pulumi.StringOutput {
	return password.ToStringOutput().ApplyT(func(p string) string {
		u := url.URL{
			Scheme:   "postgres",
			User:     url.UserPassword(role, p),
			Host:     net.JoinHostPort(host, fmt.Sprint(Port)),
			Path:     database,
			RawQuery: url.Values{"sslmode": {sslMode}, "sslrootcert": {clientDir + "/" + caFile}}.Encode(),
		}
		return u.String()
	}).(pulumi.StringOutput)
}
