package archive

import (
	"fmt"
	"slices"
	"time"
)

// Retention says how many backups are kept: the newest of each of the last days, weeks (from Monday, ISO 8601) and months
// that have any, in UTC. The newest of all is always kept, and with it those that are less than a day older: one that was made before
// a change must not go because one was made after it.
type Retention struct{ Daily, Weekly, Monthly int }

// Expired returns those of the names that are not kept, oldest first. Names must all be those of backups.
func (r Retention) Expired(names []string) ([]string, error) {
	newestFirst := slices.Clone(names)
	slices.Sort(newestFirst)
	slices.Reverse(newestFirst)
	times := make([]time.Time, len(newestFirst))
	for i, name := range newestFirst {
		var err error
		if times[i], err = ParseName(name); err != nil {
			return nil, err
		}
	}
	kept := map[string]bool{}
	for i, name := range newestFirst {
		kept[name] = times[0].Sub(times[i]) < 24*time.Hour
	}
	for _, rule := range []struct {
		count  int
		period func(time.Time) string
	}{{r.Daily, day}, {r.Weekly, week}, {r.Monthly, month}} {
		seen := map[string]bool{}
		for i, name := range newestFirst {
			period := rule.period(times[i])
			if seen[period] {
				continue
			}
			if len(seen) == rule.count {
				break
			}
			seen[period], kept[name] = true, true
		}
	}
	expired := slices.DeleteFunc(newestFirst, func(name string) bool { return kept[name] })
	slices.Reverse(expired)
	return expired, nil
}

func day(t time.Time) string   { return t.Format(time.DateOnly) }
func month(t time.Time) string { return t.Format("2006-01") }

func week(t time.Time) string {
	year, number := t.ISOWeek()
	return fmt.Sprintf("%d-%d", year, number)
}
