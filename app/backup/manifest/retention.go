package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// Retention says how many backups are kept: the newest of each server in each of the last days, weeks (from
// Monday, ISO 8601) and months that have any, in UTC. By server, since an empty server that came after a loss
// must not push out the backups of the lost one. The newest of all is always kept, and with it those less
// than a day older: a backup made before a change must not expire because another was made after it.
type Retention struct{ Daily, Weekly, Monthly int }

// Expired returns the names of backups that are not kept, oldest first. Backups that a wrong clock dated in
// the future are kept and do not count.
func (r Retention) Expired(backups []Manifest, now time.Time) ([]string, error) {
	type backup struct {
		name, system string
		taken        time.Time
	}
	var newestFirst []backup
	for _, m := range backups {
		taken, err := restorepoint.BackupTime(m.Name)
		if err != nil {
			return nil, err
		}
		if !taken.After(now.Add(pgbackrest.ClockSkew)) {
			newestFirst = append(newestFirst, backup{m.Name, m.System, taken})
		}
	}
	slices.SortFunc(newestFirst, func(a, b backup) int { return cmp.Compare(b.name, a.name) })
	kept := map[string]bool{}
	for _, b := range newestFirst {
		kept[b.name] = newestFirst[0].taken.Sub(b.taken) < 24*time.Hour
	}
	for _, rule := range []struct {
		count  int
		period func(time.Time) string
	}{{r.Daily, day}, {r.Weekly, week}, {r.Monthly, month}} {
		periods, seen := map[string]bool{}, map[[2]string]bool{}
		for _, b := range newestFirst {
			period := rule.period(b.taken)
			if !periods[period] && len(periods) == rule.count {
				break
			}
			periods[period] = true
			if key := [2]string{period, b.system}; !seen[key] {
				seen[key], kept[b.name] = true, true
			}
		}
	}
	var expired []string
	for _, b := range slices.Backward(newestFirst) {
		if !kept[b.name] {
			expired = append(expired, b.name)
		}
	}
	return expired, nil
}

func day(t time.Time) string   { return t.Format(time.DateOnly) }
func month(t time.Time) string { return t.Format("2006-01") }

func week(t time.Time) string {
	year, number := t.ISOWeek()
	return fmt.Sprintf("%d-%d", year, number)
}
