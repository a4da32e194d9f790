package store

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/cert"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
)

// The account of the S3 server, which is also the prefix that it may use.
const account, secretKey = "offsite", "correct-horse-battery-staple"

// Server is an S3 server on this machine, outside of all labs.
type Server struct {
	t               *testing.T
	data            string // the directory that holds the bucket
	host, authority string
	address         string
}

// StartServer starts a server at an IP address of this machine. It ends with the test.
func StartServer(t *testing.T, host string) *Server {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	certificate, key, err := cert.GenerateSelfSignedCertKey(host, nil, nil)
	require.NoError(t, err)

	dir := t.TempDir()
	s := &Server{t, filepath.Join(dir, "data"), host, string(certificate), net.JoinHostPort(host, port)}
	for name, content := range map[string]string{
		"tls.crt": s.authority, "tls.key": string(key), "accounts/" + account: secretKey,
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	require.NoError(t, os.Mkdir(s.data, 0o700))
	program := filepath.Join(dir, "storage")
	proc.Run(t, proc.Command(lab.Checkout, "go", "build", "-o", program, "./app/storage"))
	server := proc.Command(dir, program)
	server.Env = []string{
		"PORT=" + port, "DATA_DIR=" + s.data, "ACCOUNTS_DIR=" + filepath.Join(dir, "accounts"),
		"CERT_FILE=" + filepath.Join(dir, "tls.crt"), "KEY_FILE=" + filepath.Join(dir, "tls.key"),
	}
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the tests be killed
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Logf("the store on this machine: %s", log.String())
		}
	})
	return s
}

// Settings are the settings of a stack that keeps its backups in the server, and the secret ones.
func (s *Server) Settings() (settings, secrets map[string]string) {
	return map[string]string{
		"s3Endpoint": "https://" + s.address, "s3Prefix": account, "s3CA": s.authority,
		"s3Networks": s.host + "/32",
	}, map[string]string{"s3AccessKey": account, "s3SecretKey": secretKey}
}

// Newest returns the content that the manifest of the newest backup of a namespace records.
func (s *Server) Newest(namespace string) Content {
	manifests, err := filepath.Glob(filepath.Join(s.data, Bucket, account, namespace, "*", "manifest.json"))
	require.NoError(s.t, err)
	require.NotEmpty(s.t, manifests, "backups of %s", namespace)
	text, err := os.ReadFile(slices.Max(manifests))
	require.NoError(s.t, err)
	var stored struct{ Manifest struct{ Content Content } }
	require.NoError(s.t, json.Unmarshal(text, &stored))
	return stored.Manifest.Content
}

// Content is what a manifest records of a database.
type Content struct {
	Schema            string
	Roles             []string
	Tables, Sequences []map[string]any
}

// epochs is the sequence of the epochs that replicas of pingpong take.
const epochs = "replica_epoch_seq"

// WithoutReplicas leaves out what replicas of pingpong write about themselves.
func (c Content) WithoutReplicas() Content {
	isNamed := func(name string) func(map[string]any) bool {
		return func(object map[string]any) bool { return object["name"] == name }
	}
	c.Tables = slices.DeleteFunc(slices.Clone(c.Tables), isNamed("replica"))
	c.Sequences = slices.DeleteFunc(slices.Clone(c.Sequences), isNamed(epochs))
	return c
}

// LastEpoch is the newest epoch of a replica; 0 in a database without replicas.
func (c Content) LastEpoch() (epoch float64) {
	for _, sequence := range c.Sequences {
		if sequence["name"] == epochs {
			epoch, _ = sequence["value"].(float64)
		}
	}
	return epoch
}
