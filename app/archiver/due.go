package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
)

// backupInterval bounds how much log a restore has to replay.
const backupInterval = 24 * time.Hour

func days(number int) time.Duration { return time.Duration(number) * 24 * time.Hour }

// backupDue says why a base backup is due; empty if none is. One that a wrong clock dated in the future does
// not count.
func backupDue(spans []pgbackrest.Span, now time.Time) string {
	spans = slices.DeleteFunc(spans,
		func(s pgbackrest.Span) bool { return s.From.After(now.Add(pgbackrest.ClockSkew)) })
	if len(spans) == 0 {
		return "there is none"
	}
	newest := spans[len(spans)-1]
	if newest.Gap != "" {
		return fmt.Sprintf("no time from %s until it is made can be restored, since segment %s of the log is missing",
			newest.To.Format(time.RFC3339), newest.Gap)
	}
	if age := now.Sub(newest.From); age >= backupInterval {
		return fmt.Sprintf("the newest is %s old", age.Round(time.Minute))
	}
	return ""
}

// newTablespace says that a base backup is due because a tablespace was made since the newest. The log of its
// creation cannot be replayed elsewhere, where its folder does not exist.
func newTablespace(backups []pgbackrest.Backup) (string, error) {
	links, err := os.ReadDir(filepath.Join(os.Getenv("PGDATA"), "pg_tblspc"))
	if err != nil {
		return "", err
	}
	for _, link := range links {
		info, err := link.Info()
		if err != nil {
			return "", err
		}
		if len(backups) > 0 && !info.ModTime().Before(backups[len(backups)-1].Started) {
			return "a tablespace was made since the newest", nil
		}
	}
	return "", nil
}

// backupsToKeep returns how many base backups to keep besides the next: those of the last days that have any,
// and of one day more, since days end at midnight. Counted back from now, a wrong clock would delete them all.
func backupsToKeep(backups []pgbackrest.Backup, days int) (number int) {
	seen := map[time.Time]bool{}
	for _, b := range slices.Backward(backups) {
		seen[b.Ended.UTC().Truncate(24*time.Hour)] = true
		if len(seen) > days+1 {
			break
		}
		number++
	}
	return number
}
