package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// result holds the figures of a number of clients.
type result struct {
	perSecond    float64
	median, p99  time.Duration
	acknowledged int64
}

func (r result) String() string {
	return fmt.Sprintf("%.0f/s, median %s, p99 %s", r.perSecond, r.median, r.p99)
}

// send sends requests from a number of clients, each over its own connection to one of the places, and each
// as soon as it has the answer to the last one. next returns a request and the status of its answer.
func send(ctx context.Context, to []place, clients int, next func() (load.Request, int)) (result, error) {
	var all sync.WaitGroup
	latencies, faults := make([][]time.Duration, clients), make([]error, clients)
	start := time.Now()
	for i := range clients {
		all.Go(func() {
			server := to[i%len(to)]
			c := load.Client{Dial: func(ctx context.Context) (net.Conn, error) {
				return load.InNamespace(ctx, server.network, server.address)
			}}
			defer c.Close()
			for time.Since(start) < duration {
				request, expected := next()
				sent := time.Now()
				status, body, err := c.Do(ctx, request)
				if err != nil || status != expected {
					faults[i] = fmt.Errorf("%s %s of %s: status %d %s %w", request.Method, request.Path,
						server.address, status, body, err)
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
