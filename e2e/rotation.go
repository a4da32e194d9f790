package e2e

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// secretData is what the stack's Secrets hold, by "namespace/name key".
type secretData map[string]string

func (c *cluster) secretData() secretData {
	c.t.Helper()
	data := secretData{}
	for namespace := range podCount {
		secrets, err := c.CoreV1().Secrets(namespace).List(c.t.Context(), metav1.ListOptions{})
		require.NoError(c.t, err)
		for _, secret := range secrets.Items {
			for key, value := range secret.Data {
				data[namespace+"/"+secret.Name+" "+key] = string(value)
			}
		}
	}
	return data
}

// changedSince are the keys whose values differ.
func (d secretData) changedSince(before secretData) (keys []string) {
	for key, value := range d {
		if before[key] != value {
			keys = append(keys, key)
		}
	}
	return keys
}

// generated is a secret that the program generates.
type generated struct {
	// keys are those of the Secrets that have it, or what follows from it.
	keys []string
	// logIn is what a client does that has this secret from given, and all else from now.
	logIn func(given, now secretData) error
}

// generated are all of them, by their names in the setting secretVersions.
func (c *cluster) generated() map[string]generated {
	all := map[string]generated{
		"redis-password": {
			keys: []string{"exercises/redis password", "exercises/redis auth.conf"},
			logIn: func(given, _ secretData) error {
				return c.logInWith(statefulSet+"-0", "redis", `REDISCLI_AUTH=$(cat) redis-cli ping | grep PONG`,
					given["exercises/redis password"])
			},
		},
		"storage-certificate": {
			keys: []string{"storage/storage tls.crt", "storage/storage tls.key"},
			logIn: func(given, now secretData) error {
				return c.storeSays(exercises, now["exercises/backup secret-key"], given["exercises/backup ca.crt"])
			},
		},
	}
	for database, namespace := range map[string]string{"pingpong": exercises, "todo": project} {
		c, secret := c.in(namespace), namespace+"/postgres "
		for role, key := range map[string]string{"owner": "URL", "reader": "READER_URL",
			"restorer": "RESTORER_URL"} {
			all[database+"-"+role] = generated{
				keys: []string{secret + key, secret + "verifiers.sql"},
				logIn: func(given, now secretData) error {
					return c.logInToPostgres(given[secret+key],
						now[secret+"ca.crt"])
				},
			}
		}
		all[database+"-exporter"] = generated{
			keys: []string{secret + "exporter-password", secret + "verifiers.sql"},
			logIn: func(given, _ secretData) error {
				return c.logInWith(postgresPod, "postgres",
					`PGPASSWORD=$(cat) psql --username exporter --command "SELECT 1"`, given[secret+"exporter-password"])
			},
		}
		all[database+"-certificate"] = generated{
			keys: []string{secret + "ca.crt", secret + "tls.crt", secret + "tls.key"},
			logIn: func(given, now secretData) error {
				return c.logInToPostgres(now[secret+"URL"],
					given[secret+"ca.crt"])
			},
		}
		backup, archive := namespace+"/backup ", namespace+"/postgres-archive "
		all["storage-"+namespace+"-key"] = generated{
			keys: []string{"storage/storage " + namespace, backup + "secret-key", archive + "secret-key"},
			logIn: func(given, now secretData) error {
				return c.storeSays(namespace, given[backup+"secret-key"], now[backup+"ca.crt"])
			},
		}
		certificate := all["storage-certificate"]
		certificate.keys = append(certificate.keys, backup+"ca.crt", archive+"ca.crt")
		all["storage-certificate"] = certificate
	}
	return all
}

// logInWith runs a script in a container, which reads the password from standard input: arguments show in
// logs.
func (c *cluster) logInWith(pod, container, script, password string) error {
	cmd := command(".", "kubectl", "-n", c.namespace, "exec", "--stdin", pod, "-c", container, "--", "sh", "-c",
		script)
	cmd.Stdin = strings.NewReader(password)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

func (c *cluster) logInToPostgres(address, authority string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	u.RawQuery = "sslmode=verify-full"
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return err
	}
	config.TLSConfig.RootCAs = trusting(authority)
	server := net.JoinHostPort(c.pod(postgresPod).Status.PodIP, "5432")
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{server}, nil }
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return load.InNamespace(ctx, nodeNetwork(), server)
	}
	connection, err := pgx.ConnectConfig(c.t.Context(), config)
	if err != nil {
		return err
	}
	return connection.Close(c.t.Context())
}

// storeSays asks the storage server for what an account has.
func (c *cluster) storeSays(account, secretKey, authority string) error {
	for object := range c.storeOf(account, secretKey, authority).ListObjects(c.t.Context(), bucket,
		minio.ListObjectsOptions{Prefix: account + "/", MaxKeys: 1}) {
		return object.Err
	}
	return errors.New("the storage server has nothing of " + account)
}

func trusting(authority string) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(authority))
	return pool
}

// silence watches for how long at most nothing is acknowledged, until the function that it returns is called.
func silence(acknowledged func() int) (longest func() time.Duration) {
	var watching sync.WaitGroup
	ended := make(chan struct{})
	var most time.Duration
	watching.Go(func() {
		for last, since := acknowledged(), time.Now(); ; {
			select {
			case <-ended:
				return
			case <-time.After(10 * time.Millisecond):
			}
			most = max(most, time.Since(since))
			if n := acknowledged(); n != last {
				last, since = n, time.Now()
			}
		}
	})
	return func() time.Duration {
		close(ended)
		watching.Wait()
		return most
	}
}
