// Package storagetest runs the storage server of app/storage for tests.
package storagetest

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/certificatetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
)

const (
	// Bucket is the server's only bucket.
	Bucket = "backups"
	// Region is the region of requests.
	Region = "us-east-1"

	startTimeout = 5 * time.Minute
)

// Server is a storage server. It serves HTTPS.
type Server struct {
	// MetricsPort is the port of GET /metrics.
	MetricsPort string

	t       testing.TB
	dir     string
	port    string
	process *exec.Cmd
}

// Start starts a server with an empty bucket and accounts, each with a random secret key. It ends with the
// test.
func Start(t testing.TB, accounts ...string) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), port: freeport.Find(t), MetricsPort: freeport.Find(t)}
	for _, dir := range []string{s.DataDir(), s.AccountsDir()} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	for _, account := range accounts {
		s.SetSecretKey(account, rand.Text())
	}
	s.writeCertificate()
	t.Cleanup(s.Kill)
	s.Restart()
	return s
}

// Restart starts the server after Kill, and returns when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	var log bytes.Buffer
	s.process = exec.Command(program.Path(s.t))
	s.process.Env = s.Settings()
	s.process.Stdout, s.process.Stderr = &log, &log
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the tests be killed
	require.NoError(s.t, s.process.Start())
	client := s.HTTPClient()
	var err error
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(
		10 * time.Millisecond) {
		var response *http.Response
		if response, err = client.Get(s.Endpoint() + "/livez"); err == nil {
			require.NoError(s.t, response.Body.Close())
			require.Equal(s.t, http.StatusOK, response.StatusCode)
			return
		}
	}
	s.Kill()
	require.NoError(s.t, err, log.String())
}

// Kill ends the server with SIGKILL, as a crash would.
func (s *Server) Kill() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
}

// Settings returns the environment of the server.
func (s *Server) Settings() []string {
	return []string{
		"PORT=" + s.port, "METRICS_PORT=" + s.MetricsPort, "BUCKET=" + Bucket,
		"DATA_DIR=" + s.DataDir(), "ACCOUNTS_DIR=" + s.AccountsDir(),
		"CERT_FILE=" + s.CAFile(), "KEY_FILE=" + s.keyFile(),
	}
}

// Addr returns the server's host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", s.port) }

// Endpoint returns the server's URL.
func (s *Server) Endpoint() string { return "https://" + s.Addr() }

// CAFile returns the path of the server's certificate, which is valid for any port of 127.0.0.1.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "ca.crt") }

// Certificate returns the server's certificate and key, for proxies between clients and the server.
func (s *Server) Certificate() tls.Certificate {
	s.t.Helper()
	pair, err := tls.LoadX509KeyPair(s.CAFile(), s.keyFile())
	require.NoError(s.t, err)
	return pair
}

// DataDir returns the folder of the bucket's folder, which has a file for each object.
func (s *Server) DataDir() string { return filepath.Join(s.dir, "data") }

// AccountsDir returns the folder with a file for each account, which has the secret key.
func (s *Server) AccountsDir() string { return filepath.Join(s.dir, "accounts") }

func (s *Server) keyFile() string { return filepath.Join(s.dir, "tls.key") }

// SecretKey returns the secret key of an account.
func (s *Server) SecretKey(account string) string {
	s.t.Helper()
	key, err := os.ReadFile(filepath.Join(s.AccountsDir(), account))
	require.NoError(s.t, err)
	return string(key)
}

// SetSecretKey changes the secret key of an account.
func (s *Server) SetSecretKey(account, key string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.AccountsDir(), account), []byte(key), 0o600))
}

// Client returns an S3 client of an account, with its current secret key.
func (s *Server) Client(account string) *minio.Client {
	s.t.Helper()
	return s.ClientWith(account, s.SecretKey(account))
}

// ClientWith returns an S3 client with any access key and secret key.
func (s *Server) ClientWith(accessKey, secretKey string) *minio.Client {
	s.t.Helper()
	client, err := minio.New(s.Addr(), &minio.Options{
		Creds:      credentials.NewStaticV4(accessKey, secretKey, ""),
		Secure:     true,
		Region:     Region,
		Transport:  s.HTTPClient().Transport,
		MaxRetries: 1,
	})
	require.NoError(s.t, err)
	return client
}

// HTTPClient returns a client that trusts the server. Its connections are closed when the test ends.
func (s *Server) HTTPClient() *http.Client {
	s.t.Helper()
	certificate, err := os.ReadFile(s.CAFile())
	require.NoError(s.t, err)
	authorities := x509.NewCertPool()
	require.True(s.t, authorities.AppendCertsFromPEM(certificate))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (s *Server) writeCertificate() {
	s.t.Helper()
	certificate, key := certificatetest.New(s.t, "127.0.0.1")
	require.NoError(s.t, os.WriteFile(s.CAFile(), []byte(certificate), 0o600))
	require.NoError(s.t, os.WriteFile(s.keyFile(), []byte(key), 0o600))
}

var program = apptest.Compile("storage")
