package kube_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func TestLongestInterval(t *testing.T) {
	for schedule, want := range map[kube.Schedule]time.Duration{
		{Cron: "* * * * *", TimeZone: "Etc/UTC"}:         time.Minute,
		{Cron: "0 2 * * *", TimeZone: "Etc/UTC"}:         24 * time.Hour,
		{Cron: "0 2 * * *", TimeZone: "Europe/Helsinki"}: 25 * time.Hour,
		{Cron: "0 9-17 * * 1-5", TimeZone: "Etc/UTC"}:    64 * time.Hour,
		{Cron: "*/5 9-17 * * 1-5", TimeZone: "Etc/UTC"}:  63*time.Hour + 5*time.Minute,
		{Cron: "0 0 1 * *", TimeZone: "Etc/UTC"}:         31 * 24 * time.Hour,
		{Cron: "0 0 29 2 *", TimeZone: "Etc/UTC"}:        4*365*24*time.Hour + 24*time.Hour,
		{Cron: "@weekly", TimeZone: "Etc/UTC"}:           7 * 24 * time.Hour,
	} {
		interval, err := schedule.Interval()
		require.NoError(t, err)
		require.Equal(t, want, interval, schedule.Cron)
	}
	_, err := kube.Schedule{Cron: "often", TimeZone: "Etc/UTC"}.Interval()
	require.ErrorContains(t, err, `reading the schedule "often": `)
}
