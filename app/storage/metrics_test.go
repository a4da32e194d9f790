package main

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

func TestMetricsOfRequestsVolumeAndCertificate(t *testing.T) {
	server := storagetest.Start(t, "project")
	put(t, server.Client("project"), "project/a", "first")
	strange, err := http.NewRequestWithContext(t.Context(), "BREW", server.Endpoint()+"/backups/project/a", nil)
	require.NoError(t, err)
	answer, err := server.HTTPClient().Do(strange)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())

	answer, err = http.Get("http://localhost:" + server.MetricsPort + "/metrics")
	require.NoError(t, err)
	defer answer.Body.Close()
	metrics, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	for _, line := range []string{
		`http_request_duration_seconds_count{route="PUT",status="200"} 1`,
		`volume_available_bytes{volume="data"}`, `certificate_not_after_timestamp_seconds{certificate="storage"}`,
	} {
		assert.Contains(t, string(metrics), line)
	}
	assert.NotContains(t, string(metrics), "BREW", "strangers could make metrics without end")
}
