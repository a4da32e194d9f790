package e2e

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/util/cert"
)

// store is an S3 server on this machine, outside of all labs.
type store struct {
	t    *testing.T
	data string // the folder that holds the bucket

	// address is host:port, account the access key, and the prefix that it may use.
	address, account, secretKey, authority string
}

// startStore starts a server that pods find at an IP address of this machine. It ends with the test.
func startStore(t *testing.T, host string) *store {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	certificate, key, err := cert.GenerateSelfSignedCertKey(host, nil, nil)
	require.NoError(t, err)

	dir := t.TempDir()
	s := &store{
		t: t, data: filepath.Join(dir, "data"), address: net.JoinHostPort(host, port),
		account: "offsite", secretKey: "correct-horse-battery-staple", authority: string(certificate),
	}
	accounts, program := filepath.Join(dir, "accounts"), filepath.Join(dir, "storage")
	for _, folder := range []string{s.data, accounts} {
		require.NoError(t, os.Mkdir(folder, 0o700))
	}
	files := map[string][]byte{"tls.crt": certificate, "tls.key": key,
		filepath.Join("accounts", s.account): []byte(s.secretKey)}
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	run(t, command(checkout, "go", "build", "-o", program, "./app/storage"))
	server := exec.Command(program)
	server.Env = []string{
		"PORT=" + port, "DATA_DIR=" + s.data, "ACCOUNTS_DIR=" + accounts,
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

// settings are those of a stack that keeps its backups there, secrets is which of them are secret.
func (s *store) settings() (settings, secrets map[string]string) {
	host, _, err := net.SplitHostPort(s.address)
	require.NoError(s.t, err)
	return map[string]string{
		"s3Endpoint": "https://" + s.address, "s3Prefix": s.account, "s3CA": s.authority, "s3Networks": host +
			"/32",
	}, map[string]string{"s3AccessKey": s.account, "s3SecretKey": s.secretKey}
}

// newest is the content that the manifest of the newest backup of a namespace records.
func (s *store) newest(namespace string) content {
	s.t.Helper()
	manifests, err := filepath.Glob(filepath.Join(s.data, bucket, s.account, namespace, "*", "manifest.json"))
	require.NoError(s.t, err)
	require.NotEmpty(s.t, manifests, "backups of %s", namespace)
	text, err := os.ReadFile(slices.Max(manifests))
	require.NoError(s.t, err)
	var stored struct{ Manifest struct{ Content content } }
	require.NoError(s.t, json.Unmarshal(text, &stored))
	return stored.Manifest.Content
}

// content is what a manifest records of a database.
type content struct {
	Schema            string
	Roles             []string
	Tables, Sequences []map[string]any
}

// epochs is the sequence of the epochs that replicas of pingpong take.
const epochs = "replica_epoch_seq"

// withoutReplicas leaves out what replicas of pingpong write about themselves.
func (c content) withoutReplicas() content {
	isNamed := func(name string) func(map[string]any) bool {
		return func(object map[string]any) bool { return object["name"] == name }
	}
	c.Tables = slices.DeleteFunc(slices.Clone(c.Tables), isNamed("replica"))
	c.Sequences = slices.DeleteFunc(slices.Clone(c.Sequences), isNamed(epochs))
	return c
}

// lastEpoch is the newest epoch of a replica; 0 in a database without them.
func (c content) lastEpoch() (epoch float64) {
	for _, sequence := range c.Sequences {
		if sequence["name"] == epochs {
			epoch, _ = sequence["value"].(float64)
		}
	}
	return epoch
}
