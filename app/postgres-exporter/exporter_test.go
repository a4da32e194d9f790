package main

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/certificatetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
)

// The test binary is the app too.
func TestMain(m *testing.M) { apptest.Main(m, main) }

func TestMetricsOfPostgresItsVolumeAndItsCertificate(t *testing.T) {
	server, dir := postgrestest.Start(t), t.TempDir()
	address, err := url.Parse(server.URL())
	require.NoError(t, err)
	password, _ := address.User.Password()
	certificate, _ := certificatetest.New(t, "localhost")
	for name, content := range map[string]string{"password": password, "tls.crt": certificate} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	p := apptest.Start(t, "DATA_SOURCE_URI="+address.Host+address.Path+"?sslmode=disable",
		"DATA_SOURCE_USER="+address.User.Username(), "DATA_SOURCE_PASS_FILE="+filepath.Join(dir, "password"),
		"DATA_DIR="+dir, "CERT_FILE="+filepath.Join(dir, "tls.crt"))
	p.WaitForMetrics("\npg_up 1\n", "pg_stat_archiver_archived_count", "pg_wal_size_bytes",
		"pg_postmaster_start_time_seconds",
		`pg_database_size_bytes{datname="postgres"}`, `volume_available_bytes{volume="data"}`,
		`certificate_not_after_timestamp_seconds{certificate="postgres"}`)
	server.Kill()
	p.WaitForMetrics("\npg_up 0\n", `volume_available_bytes{volume="data"}`)
}

func TestRefusesToStartWithoutAServer(t *testing.T) {
	p := apptest.Start(t)
	assert.Equal(t, 1, p.Wait().ExitCode())
	assert.Contains(t, p.Logged(), "DATA_SOURCE_URI: is not set")
}
