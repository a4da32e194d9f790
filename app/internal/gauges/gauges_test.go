package gauges_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/certificatetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/gauges"
)

// measure returns the values of a collector's metrics by name.
func measure(t *testing.T, collector prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector)
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		values[family.GetName()] = family.GetMetric()[0].GetGauge().GetValue()
	}
	return values
}

// The volume is as full as df says.
func TestVolume(t *testing.T) {
	dir := t.TempDir()
	values := measure(t, gauges.Volume("data", dir))
	said, err := exec.CommandContext(t.Context(), "df", "--output=pcent", dir).Output()
	require.NoError(t, err)
	var full float64
	_, err = fmt.Sscanf(string(said), "Use%%\n%f%%", &full)
	require.NoError(t, err, "%q", said)
	require.InDelta(t, full, 100*(1-values["volume_available_bytes"]/values["volume_capacity_bytes"]), 1.5)
}

func TestCertificate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tls.crt")
	certificate, _ := certificatetest.New(t, "localhost")
	require.NoError(t, os.WriteFile(file, []byte(certificate), 0o600))
	values := measure(t, gauges.Certificate("server", file))
	now := float64(time.Now().Unix())
	require.InDelta(t, now-3600, values["certificate_not_before_timestamp_seconds"], 60)
	require.InDelta(t, now+24*3600, values["certificate_not_after_timestamp_seconds"], 60)
}

// The other metrics of the app are served all the same.
func TestWhatCannotBeMeasuredIsLeftOut(t *testing.T) {
	damaged := filepath.Join(t.TempDir(), "tls.crt")
	require.NoError(t, os.WriteFile(damaged, []byte("nonsense"), 0o600))
	for _, collector := range []prometheus.Collector{
		gauges.Volume("data", "/nowhere"), gauges.Certificate("server", "/nowhere"),
		gauges.Certificate("server", damaged),
	} {
		require.Empty(t, measure(t, collector))
	}
}
