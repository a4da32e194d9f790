package cluster

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatusShowsAlerts(t *testing.T) {
	var answer struct{ Data struct{ Alerts []alert } }
	require.NoError(t, json.Unmarshal([]byte(`{"status": "success", "data": {"alerts": [
		{"labels": {"alertname": "VolumeFilling", "severity": "warning"}, "state": "firing", "value": "9e-01",
			"annotations": {"summary": "The volume data is 90% full"}, "activeAt": "2026-11-30T12:00:00.1Z"},
		{"labels": {"alertname": "PostgresDown", "severity": "critical"}, "state": "firing",
			"annotations": {"summary": "No server answers"}, "activeAt": "2026-11-30T12:55:00Z"},
		{"labels": {"alertname": "AppDown", "severity": "critical"}, "state": "pending",
			"annotations": {"summary": "No pod answers"}, "activeAt": "2026-11-30T12:59:00Z"}
	]}}`), &answer))
	var status Status
	status.addAlerts("monitoring", answer.Data.Alerts, nil, time.Date(2026, 11, 30, 13, 0, 0, 0, time.UTC))
	assert.Equal(t, Status{
		Lines: [][2]string{{"alerts", "monitoring: 2 firing, 1 pending"}},
		Faults: []string{
			"PostgresDown for 5m (critical): No server answers",
			"VolumeFilling for 59m (warning): The volume data is 90% full",
		},
	}, status)

	status = Status{}
	status.addAlerts("monitoring", nil, errors.New("its pod is not ready"), time.Now())
	assert.Equal(t, Status{Lines: [][2]string{{"alerts", "monitoring: not known: its pod is not ready"}}},
		status)
}
