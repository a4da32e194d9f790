package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const many = 64

var counts = database{namespace: "exercises", name: "pingpong"}

// pageAt returns requests of a page that has to be there.
func pageAt(path string) func() (load.Request, int) {
	return func() (load.Request, int) { return load.Request{Method: "GET", Path: path}, http.StatusOK }
}

// Pages of pingpong, and of its peer.
var (
	ping      = pageAt("/pingpong")
	naivePing = pageAt("/naive")
	emptyPage = pageAt("/empty")
)

// samples are those of all rounds.
type samples struct {
	counter, naive, counterLone, naiveLone, pgbench []float64
	memory                                          int64
}

func measurePingpong(ctx context.Context, c *cluster) error {
	counters, err := c.pods(ctx, counts.namespace, "app=pingpong")
	if err != nil {
		return err
	}
	defer c.stopNaive()
	naives, err := c.startNaive(ctx)
	if err != nil {
		return err
	}
	counter, naive := addresses(counters), addresses(naives)
	if _, err := send(ctx, c.network(), counter, many, ping); err != nil { // warm up
		return err
	}
	if _, err := send(ctx, c.network(), naive, many, naivePing); err != nil {
		return err
	}
	var s samples
	best := 0.0
	for range rounds {
		for _, clients := range []int{1, 4, 16, 64} {
			tps, err := pgbenchCounter(ctx, clients)
			if err != nil {
				return err
			}
			fmt.Printf("pgbench, %d clients: %.0f/s\n", clients, tps)
			best = max(best, tps)
		}
		for _, measure := range []struct {
			name             string
			pods             []string
			request          func() (load.Request, int)
			clients          int
			rates, latencies *[]float64
		}{
			{"naive", naive, naivePing, many, &s.naive, nil},
			{"pingpong", counter, ping, many, &s.counter, nil},
			{"naive", naive[:1], naivePing, 1, nil, &s.naiveLone},
			{"pingpong", counter[:1], ping, 1, nil, &s.counterLone},
		} {
			r, err := send(ctx, c.network(), measure.pods, measure.clients, measure.request)
			if err != nil {
				return err
			}
			fmt.Printf("%s, %d clients: %s\n", measure.name, measure.clients, r)
			if measure.rates != nil {
				*measure.rates = append(*measure.rates, r.perSecond)
			} else {
				*measure.latencies = append(*measure.latencies, r.median.Seconds())
			}
			memory, err := c.memory(ctx, "pingpong")
			if err != nil {
				return err
			}
			s.memory = max(s.memory, memory)
		}
		s.pgbench, best = append(s.pgbench, best), 0
	}
	syncs, numbers, err := c.walSyncs(ctx, counter[:1])
	if err != nil {
		return err
	}
	settings, err := counts.settings(ctx)
	if err != nil {
		return err
	}
	s.print(syncs, numbers, settings)
	return nil
}

// print writes the medians of all rounds.
func (s samples) print(syncs, numbers int64, settings string) {
	counter, naive, pgbench := median(s.counter), median(s.naive), median(s.pgbench)
	fmt.Printf("\n| what | pingpong | peer | ratio | should be |\n|---|---|---|---|---|\n")
	fmt.Printf("| numbers/s, 64 clients, against the best of pgbench | %.0f | %.0f | %.1f | at least 6 |\n",
		counter, pgbench, counter/pgbench)
	fmt.Printf("| numbers/s, 64 clients, against one UPDATE a request | %.0f | %.0f | %.1f | at least 8 |\n",
		counter, naive, counter/naive)
	lone, naiveLone := median(s.counterLone), median(s.naiveLone)
	fmt.Printf("| median latency of a lone client, µs | %.0f | %.0f | %.2f | at most 1.1 |\n", lone*1e6,
		naiveLone*1e6, lone/naiveLone)
	fmt.Printf("| working set of the larger container, MB | %.1f | | | at most 32 |\n", float64(s.memory)/1e6)
	fmt.Printf("| WAL syncs, one client, against numbers handed out | %d | %d | %.2f | at least 1 |\n", syncs,
		numbers, float64(syncs)/float64(numbers))
	fmt.Printf("\nMedians of %d rounds. %s.\n", rounds, settings)
}

// walSyncs are those that one client's pings cost. Other pods that share the server are idle meanwhile.
func (c *cluster) walSyncs(ctx context.Context, pods []string) (syncs, numbers int64, err error) {
	settle := func() (int64, error) {
		time.Sleep(3 * time.Second) // backends report once a second at most, and after 10 s of silence at the latest
		return counts.sqlNumber(ctx, `SELECT wal_sync FROM pg_stat_wal`)
	}
	before, err := settle()
	if err != nil {
		return 0, 0, err
	}
	r, err := send(ctx, c.network(), pods, 1, ping)
	if err != nil {
		return 0, 0, err
	}
	after, err := settle()
	return after - before, r.acknowledged, err
}

// pgbenchCounter is the transactions in a second of clients that all change one row.
func pgbenchCounter(ctx context.Context, clients int) (float64, error) {
	if _, err := counts.sql(ctx, `DROP TABLE IF EXISTS benched; CREATE TABLE benched AS SELECT 0::bigint AS pings`); err != nil {
		return 0, err
	}
	tps, err := counts.pgbench(ctx, clients, `UPDATE benched SET pings = pings + 1 RETURNING pings;`)
	if err != nil {
		return 0, err
	}
	_, err = counts.sql(ctx, `DROP TABLE benched`)
	return tps, err
}
