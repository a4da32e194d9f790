// Bench measures the apps against their peers, in turns and on the same Postgres pods, and prints tables.
// Arguments are the systems to be measured, all by default.
//
// The load comes from this process on the same machine: from the node's network namespace straight to the
// pods, without Service and ingress, or, where it says so, through the ingress. pgbench runs in the pod of
// Postgres, on its socket and so without TLS. The parts of a backup are measured outside the cluster, by the
// benchmark of app/backup, and so are apps that are abused, by their tests.
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

var systems = []struct {
	name    string
	measure func(context.Context) error
}{
	{"pingpong", inLab(measurePingpong)},
	{"todo", inLab(measureTodo)},
	{"page", inLab(measurePage)},
	{"ingress", inLab(measureIngress)},
	{"backup", inLab(measureBackup)},
	{"up", inLab(measureUp)},
	{"abuse", inLab(measureAbuse)},
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
	for _, system := range systems {
		if len(chosen) > 0 && !slices.Contains(chosen, system.name) {
			continue
		}
		if err := system.measure(ctx); err != nil {
			return fmt.Errorf("measure %s: %w", system.name, err)
		}
	}
	return nil
}

func inLab(measure func(context.Context, *cluster) error) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := newCluster()
		if err != nil {
			return err
		}
		return measure(ctx, c)
	}
}
