package main

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
)

func metrics(t *testing.T, p *apptest.Process) map[string]float64 {
	t.Helper()
	response, err := http.Get("http://localhost:" + p.MetricsPort + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	found := map[string]float64{}
	for _, line := range regexp.MustCompile(
		`(?m)^backup_(\w+)\{prefix="project"\} (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		value, err := strconv.ParseFloat(line[2], 64)
		require.NoError(t, err)
		found[line[1]] = value
	}
	return found
}

// status returns what the command status prints.
func (s *system) status() (is storeStatus) {
	s.t.Helper()
	said := s.succeed("status")
	begin := strings.Index(said, "{") // the log is beside it
	require.GreaterOrEqual(s.t, begin, 0, said)
	require.NoError(s.t, json.NewDecoder(strings.NewReader(said[begin:])).Decode(&is), said)
	return is
}

func TestMetrics(t *testing.T) {
	s := start(t)
	p := s.begin("metrics")
	p.WaitUntilReady(http.StatusOK)
	assert.Equal(t, map[string]float64{
		"last_verified_timestamp_seconds": 0, "last_verified_size_bytes": 0, "last_verified_duration_seconds": 0,
		"last_verified_lacks": 0, "store_up": 1,
		"verified_backups": 0, "last_run_timestamp_seconds": 0, "last_run_success": 0,
	}, metrics(t, p))

	assert.Equal(t, storeStatus{}, s.status())

	m := s.manifest(s.backup())
	s.age(m.Name, -48*time.Hour) // by a clock that was wrong
	p = s.begin("metrics")
	p.WaitUntilReady(http.StatusOK)
	shown := metrics(t, p)
	taken, err := time.Parse("20060102T150405Z", m.Name[:16])
	require.NoError(t, err)
	assert.InDelta(t, float64(time.Now().Unix()), shown["last_run_timestamp_seconds"], 60)
	delete(shown, "last_run_timestamp_seconds")
	assert.Equal(t, map[string]float64{
		"last_verified_timestamp_seconds": float64(taken.Unix()), "last_verified_size_bytes": float64(m.Dump.Size),
		"last_verified_duration_seconds": m.Duration().Seconds(), "last_verified_lacks": 2, "verified_backups": 2,
		"last_run_success": 1, "store_up": 1,
	}, shown)

	is := s.status()
	assert.Equal(t, 2, is.Backups)
	assert.Equal(t, newestBackup{m.Name, taken, m.Verified, humanize.Bytes(uint64(m.Dump.Size))}, *is.Newest)
	assert.Equal(t, m.Name, is.LastRun.Backup)
	assert.WithinDuration(t, time.Now(), is.LastRun.Ended, time.Minute)

	s.fail("run", nil, "URL="+s.db.As("nobody").URL())
	assert.Equal(t, m.Name, s.status().Newest.Name)
	assert.Contains(t, s.status().LastRun.Error, "nobody")
	p = s.begin("metrics")
	p.WaitUntilReady(http.StatusOK)
	assert.Zero(t, metrics(t, p)["last_run_success"])
	assert.EqualValues(t, 2, metrics(t, p)["verified_backups"], "the backups are still there")

	s.store.Kill()
	p = s.begin("metrics")
	p.Eventually(func() bool { return p.Logged() != "" })
	p.WaitUntilReady(http.StatusServiceUnavailable)
	assert.Zero(t, metrics(t, p)["store_up"])
}

// All backups are deleted while the pod runs.
func TestMetricsOfAnEmptiedStore(t *testing.T) {
	const prefix = "emptied"
	g := newGauges(prefix)
	g.show(storeState{backups: 1, taken: time.Now(), run: s3.Run{Ended: time.Now()}})
	g.show(storeState{})
	families, err := prometheus.DefaultGatherer.Gather()
	require.NoError(t, err)
	shown := 0
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if labels := metric.GetLabel(); len(labels) == 1 && labels[0].GetValue() == prefix {
				shown++
				assert.Zero(t, metric.GetGauge().GetValue(), family.GetName())
			}
		}
	}
	assert.Equal(t, 8, shown)
}

// Without an archive these metrics have no value, and nobody takes 0 for one.
func TestMetricsOfTheArchive(t *testing.T) {
	g := newGauges("archived")
	values := func() []float64 {
		var values []float64
		for _, gauge := range []*prometheus.GaugeVec{g.archived, g.archiveSize, g.archiveGap} {
			found := make(chan prometheus.Metric, 1)
			gauge.Collect(found)
			close(found)
			for metric := range found {
				var value dto.Metric
				require.NoError(t, metric.Write(&value))
				values = append(values, value.GetGauge().GetValue())
			}
		}
		return values
	}
	assert.Empty(t, values())
	stored := time.Unix(1_700_000_000, 0)
	segment := func(name string) pgbackrest.Object {
		return pgbackrest.Object{Size: 7, Stored: stored,
			Path: "wal/archive/1/17-1/" + name[:16] + "/" + name + "-" + strings.Repeat("0", 40)}
	}
	g.showArchive([]pgbackrest.Object{segment("000000010000000000000001"), segment("000000010000000000000003")})
	assert.Equal(t, []float64{1_700_000_000, 14, 1}, values())
	g.showArchive(nil)
	assert.Empty(t, values())
}

// Which times plugin-barman-cloud can restore, for people who look for one.
func TestCoverageOfThePlugin(t *testing.T) {
	first, last := time.Date(2026, 11, 22, 14, 1, 0, 0, time.UTC), time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	assert.Empty(t, pluginCoverage(pgbackrest.Summary{}))
	assert.Empty(t, pluginCoverage(pgbackrest.Summary{Server: "7711158423862165527", First: first, Last: last}))
	assert.Equal(t, "nothing can be restored from barman/postgres-1, which has no base backup",
		pluginCoverage(pgbackrest.Summary{Server: "barman/postgres-1", Last: last}))
	assert.Equal(t, "2026-11-22T14:01:00Z to 2026-11-23T09:30:00Z in barman/postgres-1; log is missing in it",
		pluginCoverage(pgbackrest.Summary{Server: "barman/postgres-1", First: first, Last: last, Gap: true}))
}
