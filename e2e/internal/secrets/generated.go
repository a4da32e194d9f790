package secrets

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// Data is what the stack's Secrets hold, by "namespace/name key".
type Data map[string]string

// Read returns the content of the stack's Secrets.
func Read(c *kube.Cluster) Data {
	data := Data{}
	for namespace := range kube.PodCount {
		secrets, err := c.CoreV1().Secrets(namespace).List(c.T.Context(), metav1.ListOptions{})
		require.NoError(c.T, err)
		for _, secret := range secrets.Items {
			for key, value := range secret.Data {
				data[namespace+"/"+secret.Name+" "+key] = string(value)
			}
		}
	}
	return data
}

// ChangedSince returns the keys with different values.
func (d Data) ChangedSince(before Data) (keys []string) {
	for key, value := range d {
		if before[key] != value {
			keys = append(keys, key)
		}
	}
	return keys
}

// Secret is a secret that the program generates.
type Secret struct {
	// Keys are the keys of Secrets that hold it, or something derived from it.
	Keys []string
	// LogIn logs in with this secret from given, and with everything else from now.
	LogIn func(given, now Data) error
}

// Generated returns all generated secrets, by their names in the setting secretVersions.
func Generated(c *kube.Cluster) map[string]Secret {
	c = c.In(kube.Exercises)
	certificate := []string{"storage/storage tls.crt", "storage/storage tls.key"}
	all := map[string]Secret{
		"redis-password": {
			Keys: []string{"exercises/redis password", "exercises/redis auth.conf"},
			LogIn: func(given, _ Data) error {
				return logIn(c, kube.RedisPods[0], "redis", `REDISCLI_AUTH=$(cat) redis-cli ping | grep PONG`,
					given["exercises/redis password"])
			},
		},
	}
	for database, namespace := range map[string]string{"pingpong": kube.Exercises, "todo": kube.Project} {
		c, secret := c.In(namespace), namespace+"/postgres "
		backup, archive := namespace+"/backup ", namespace+"/postgres-archive "
		client := namespace + "/postgres-client "
		certificate = append(certificate, backup+"ca.crt", archive+"ca.crt")
		for role, key := range map[string]string{"owner": "URL", "reader": "READER_URL",
			"restorer": "RESTORER_URL"} {
			keys := []string{secret + key, secret + "verifiers.sql"}
			if role == "owner" {
				keys = append(keys, client+"URL", client+"password", client+"PGPASSWORD")
			}
			all[database+"-"+role] = Secret{
				Keys: keys,
				LogIn: func(given, now Data) error {
					return logInToPostgres(c, given[secret+key], now[secret+"ca.crt"])
				},
			}
		}
		all[database+"-exporter"] = Secret{
			Keys: []string{secret + "exporter-password", secret + "verifiers.sql"},
			LogIn: func(given, _ Data) error {
				return logIn(c, postgres.Pod, "postgres",
					`PGPASSWORD=$(cat) psql --username exporter --command "SELECT 1"`, given[secret+"exporter-password"])
			},
		}
		all[database+"-certificate"] = Secret{
			Keys: []string{secret + "ca.crt", secret + "tls.crt", secret + "tls.key", client + "ca.crt"},
			LogIn: func(given, now Data) error {
				return logInToPostgres(c, now[secret+"URL"], given[secret+"ca.crt"])
			},
		}
		all["storage-"+namespace+"-key"] = Secret{
			Keys: []string{"storage/storage " + namespace, backup + "secret-key", archive + "secret-key"},
			LogIn: func(given, now Data) error {
				return logInToStore(c, given[backup+"secret-key"], now[backup+"ca.crt"])
			},
		}
	}
	all["storage-certificate"] = Secret{
		Keys: certificate,
		LogIn: func(given, now Data) error {
			return logInToStore(c, now["exercises/backup secret-key"], given["exercises/backup ca.crt"])
		},
	}
	return all
}

// logIn runs a script in a container. The script reads the password from standard input: arguments show in
// logs.
func logIn(c *kube.Cluster, pod, container, script, password string) error {
	cmd := c.Command("exec", "--stdin", pod, "--container", container, "--", "sh", "-c", script)
	cmd.Stdin = strings.NewReader(password)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

func logInToPostgres(c *kube.Cluster, address, authority string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	u.RawQuery = "sslmode=verify-full"
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return err
	}
	config.TLSConfig.RootCAs = x509.NewCertPool()
	config.TLSConfig.RootCAs.AppendCertsFromPEM([]byte(authority))
	server := net.JoinHostPort(c.Pod(postgres.Pod).Status.PodIP, "5432")
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{server}, nil }
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return load.InNamespace(ctx, lab.NodeNetwork(), server)
	}
	connection, err := pgx.ConnectConfig(c.T.Context(), config)
	if err != nil {
		return err
	}
	return connection.Close(c.T.Context())
}

// logInToStore asks the storage server for the backups of the namespace. Its account has the same name.
func logInToStore(c *kube.Cluster, secretKey, authority string) error {
	for object := range store.ClientOf(c, c.Namespace, secretKey, authority).ListObjects(c.T.Context(),
		store.Bucket, minio.ListObjectsOptions{Prefix: c.Namespace + "/", MaxKeys: 1}) {
		return object.Err
	}
	return errors.New("the storage server has nothing of " + c.Namespace)
}
