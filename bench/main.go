// Bench measures the apps against their peers, in the same run and on the same Postgres pods, and prints
// tables. Its arguments name what to measure; the default is everything.
//
// The load comes from this process on the same machine: straight from the node's network namespace to the
// pods, without Service and ingress, or through the ingress where a table says so. pgbench runs in the pod of
// Postgres, over its socket and so without TLS. The parts of a backup are measured outside the cluster, by
// the benchmark of app/backup.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

const (
	rounds   = 3
	duration = 5 * time.Second
)

var subjects = []struct {
	name    string
	measure func(context.Context, *cluster) error
}{
	{"pingpong", measurePingpong},
	{"todo", measureTodo},
	{"page", measurePage},
	{"ingress", measureIngress},
	{"backup", measureBackup},
	{"up", measureUp},
	{"abuse", measureAbuse},
	{"stacks", measureStacks},
	{"scrape", measureScrape},
	{"major", measureMajor}, // the last, since it moves the databases
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, chosen []string) error {
	c, err := newCluster()
	if err != nil {
		return err
	}
	for _, subject := range subjects {
		if len(chosen) > 0 && !slices.Contains(chosen, subject.name) {
			continue
		}
		if err := subject.measure(ctx, c); err != nil {
			return fmt.Errorf("measure %s: %w", subject.name, err)
		}
	}
	return nil
}
