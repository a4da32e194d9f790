package manifest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// backupsOf returns manifests of one server.
func backupsOf(system string, names ...string) (backups []manifest.Manifest) {
	for _, name := range names {
		backups = append(backups, manifest.Manifest{Name: name, System: system})
	}
	return backups
}

func TestRetention(t *testing.T) {
	now := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	name := func(when string) string {
		at, err := time.Parse("2006-01-02 15:04", when)
		require.NoError(t, err)
		return at.Format("20060102T150405Z") + "-000000"
	}
	for title, c := range map[string]struct {
		r             manifest.Retention
		kept, notKept []string
	}{
		"none": {manifest.Retention{Daily: 7}, nil, nil},
		"the newest, always, and its day": {manifest.Retention{},
			[]string{"2026-11-22 02:00", "2026-11-22 01:00", "2026-11-21 02:01"},
			[]string{"2026-11-21 02:00", "2026-11-20 02:00"}},
		"the newest of each day": {manifest.Retention{Daily: 2},
			[]string{"2026-11-22 02:00", "2026-11-20 23:59"},
			[]string{"2026-11-20 23:58", "2026-11-20 00:00", "2026-11-19 02:00"}},
		"weeks from Monday": {manifest.Retention{Weekly: 3}, // 2026-11-22 is a Sunday
			[]string{"2026-11-22 02:00", "2026-11-15 02:00", "2026-11-08 02:00"},
			[]string{"2026-11-16 02:00", "2026-11-09 02:00", "2026-11-01 02:00"}},
		"weeks over the year's end": {manifest.Retention{Weekly: 2},
			[]string{"2027-01-03 02:00", "2026-12-27 02:00"}, []string{"2026-12-28 02:00", "2027-01-01 02:00"}},
		"months": {manifest.Retention{Monthly: 2},
			[]string{"2026-11-22 02:00", "2026-09-30 02:00"},
			[]string{"2026-11-01 02:00", "2026-09-01 02:00", "2026-08-31 02:00"}},
		"all rules together": {manifest.Retention{Daily: 2, Weekly: 2, Monthly: 2},
			[]string{"2026-11-22 02:00", "2026-11-21 02:00", "2026-11-15 02:00", "2026-10-31 02:00"},
			[]string{"2026-11-20 02:00", "2026-11-14 02:00", "2026-10-30 02:00", "2026-09-30 02:00"}},
		"those of a wrong clock do not count": {manifest.Retention{Daily: 2},
			[]string{"2030-01-02 02:00", "2030-01-01 02:00", "2026-11-22 02:00", "2026-11-21 02:00"},
			[]string{"2026-11-20 02:00"}},
	} {
		var names, want []string
		for _, when := range c.kept {
			names = append(names, name(when))
		}
		for _, when := range c.notKept {
			names, want = append(names, name(when)), append(want, name(when))
		}
		t.Run(title, func(t *testing.T) {
			expired, err := c.r.Expired(backupsOf("1", names...), now)
			require.NoError(t, err)
			assert.ElementsMatch(t, want, expired)
			assert.IsIncreasing(t, append([]string{""}, expired...))
		})
	}
	_, err := manifest.Retention{}.Expired(backupsOf("1", "last-run.json"), now)
	assert.ErrorContains(t, err, fmt.Sprintf("%q is not the name of a backup", "last-run.json"))
}

// Two years of one backup each night, pruned each night.
func TestRetentionOverTime(t *testing.T) {
	var names []string
	for day := time.Date(2025, 1, 1, 2, 0, 0, 0, time.UTC); day.Year() < 2027; day = day.AddDate(0, 0, 1) {
		names = append(names, restorepoint.NewBackup(day))
		expired, err := manifest.Retention{Daily: 7, Weekly: 4, Monthly: 6}.Expired(backupsOf("1", names...), day)
		require.NoError(t, err)
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(expired, name) })
	}
	var days []string
	for _, name := range names {
		days = append(days, name[4:8])
	}
	assert.Equal(t, []string{
		"0731", "0831", "0930", "1031", "1130", // months; December's is the newest
		"1213", "1220", // weeks; the two others end within the last days
		"1225", "1226", "1227", "1228", "1229", "1230", "1231",
	}, days)
}

// The last backup before a loss stays for months, whatever the server that came afterwards backs up.
func TestRetentionOverALoss(t *testing.T) {
	lost := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	last := restorepoint.NewBackup(lost.Add(-time.Hour))
	backups := backupsOf("1", last)
	isLast := func(m manifest.Manifest) bool { return m.Name == last }
	for now := lost; now.Before(lost.AddDate(1, 0, 0)); now = now.AddDate(0, 0, 1) {
		backups = append(backups, backupsOf("2", restorepoint.NewBackup(now))...)
		expired, err := manifest.Retention{Daily: 7, Weekly: 4, Monthly: 6}.Expired(backups, now)
		require.NoError(t, err)
		backups = slices.DeleteFunc(backups,
			func(m manifest.Manifest) bool { return slices.Contains(expired, m.Name) })
		kept := now.Before(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC))
		assert.Equal(t, kept, slices.ContainsFunc(backups, isLast), now)
		assert.LessOrEqual(t, len(backups), 18)
	}
}
