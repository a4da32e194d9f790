package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"
)

// abuseTime is how long each abuse goes on after it has begun.
const abuseTime = 10 * time.Second

var abuseLine = regexp.MustCompile(`abuse of ([\w-]+): ([\w ]+): (\d+) sent, (\d+) answered, p99 (\S+)`)

// measureAbuse measures how soon the apps answer honest clients while strangers abuse them, against the same
// app with no strangers. It does so outside the cluster, by the apps' tests.
func measureAbuse(ctx context.Context) error {
	if err := os.Setenv("ABUSE_TIME", abuseTime.String()); err != nil {
		return err
	}
	fmt.Printf("\n| app | abuse | honest requests sent | answered | p99 quiet | p99 | ratio (should be at most 10) |\n|---|---|---|---|---|---|---|\n")
	var failed error
	for _, app := range []string{"pingpong", "todo-backend", "todo-frontend", "storage"} {
		out, err := runGoTest(ctx, io.Discard, "./app/"+app, "-run=WithstandsAbuse", "-v", "-count=1")
		failed = errors.Join(failed, err)
		quiet := map[string]time.Duration{}
		for _, match := range abuseLine.FindAllStringSubmatch(out, -1) {
			server, abuse, sent, answered := match[1], match[2], match[3], match[4]
			p99, err := time.ParseDuration(match[5])
			if err != nil {
				return err
			}
			if abuse == "quiet" {
				quiet[server] = p99
				continue
			}
			if server == "metrics" {
				server = app + ", metrics"
			}
			fmt.Printf("| %s | %s | %s | %s | %s | %s | %.1f |\n", server, abuse, sent, answered, quiet[match[1]],
				p99, float64(p99)/float64(quiet[match[1]]))
		}
	}
	return failed
}
