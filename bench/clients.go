package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// result is what clients measured.
type result struct {
	perSecond    float64
	median, p99  time.Duration
	acknowledged int64
}

// ping has clients send GET /pingpong for some time, each on a connection of its own to one of the pods, and each as
// soon as it has the answer to the last.
func ping(ctx context.Context, network string, pods []string, clients int, duration time.Duration) (result, error) {
	var all sync.WaitGroup
	latencies, faults := make([][]time.Duration, clients), make([]error, clients)
	start := time.Now()
	for i := range clients {
		all.Go(func() {
			c := load.Client{Dial: func(ctx context.Context) (net.Conn, error) {
				return load.InNamespace(ctx, network, pods[i%len(pods)])
			}}
			defer c.Close()
			for time.Since(start) < duration {
				sent := time.Now()
				status, body, err := c.Get(ctx, "/pingpong")
				if err != nil || status != http.StatusOK {
					faults[i] = fmt.Errorf("GET /pingpong of %s: status %d %s %w", pods[i%len(pods)], status, body, err)
					return
				}
				latencies[i] = append(latencies[i], time.Since(sent))
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	for _, fault := range faults {
		if fault != nil {
			return result{}, fault
		}
	}
	sorted := slices.Concat(latencies...)
	slices.Sort(sorted)
	return result{
		perSecond:    float64(len(sorted)) / took.Seconds(),
		median:       sorted[len(sorted)/2],
		p99:          sorted[len(sorted)*99/100],
		acknowledged: int64(len(sorted)),
	}, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
