package kube

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// Interval is the longest time between two Jobs.
func (s Schedule) Interval() (longest time.Duration, err error) {
	times, err := cron.ParseStandard("CRON_TZ=" + s.TimeZone + " " + s.Cron)
	if err != nil {
		return 0, fmt.Errorf("reading the schedule %q: %w", s.Cron, err)
	}
	// From a Friday on, so that a few Jobs have a weekend among them, and many a change to winter time.
	at := times.Next(time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC))
	for range 2000 {
		next := times.Next(at)
		if next.IsZero() || next.Year() > 2033 {
			break
		}
		longest, at = max(longest, next.Sub(at)), next
	}
	return longest, nil
}
