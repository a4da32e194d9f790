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

// pageAt returns requests for a page, answered with 200.
func pageAt(path string) func() (load.Request, int) {
	return func() (load.Request, int) { return load.Request{Method: "GET", Path: path}, http.StatusOK }
}

// Pages of pingpong and of its peer.
var (
	ping      = pageAt("/pingpong")
	naivePing = pageAt("/naive")
	emptyPage = pageAt("/empty")
)

// pingFigures are the figures of each round.
type pingFigures struct {
	rate, naiveRate, emptyRate, pgbenchRate []float64 // per second
	lone, naiveLone                         []float64 // seconds
	memory                                  int64
}

func measurePingpong(ctx context.Context, c *cluster) error {
	pods, err := c.pods(ctx, counts.namespace, "app=pingpong")
	if err != nil {
		return err
	}
	defer c.stopNaive()
	naivePods, err := c.startNaive(ctx)
	if err != nil {
		return err
	}
	counter, naive := places(pods), places(naivePods)
	if _, err := send(ctx, counter, many, ping); err != nil { // warm up
		return err
	}
	if _, err := send(ctx, naive, many, naivePing); err != nil {
		return err
	}
	var f pingFigures
	for range rounds {
		if err := f.measureRound(ctx, c, counter, naive); err != nil {
			return err
		}
	}
	syncs, numbers, err := c.walSyncs(ctx, counter[:1])
	if err != nil {
		return err
	}
	settings, err := counts.settings(ctx)
	if err != nil {
		return err
	}
	f.print(syncs, numbers, settings)
	return nil
}

func (f *pingFigures) measureRound(ctx context.Context, c *cluster, counter, naive []place) error {
	best := 0.0
	for _, clients := range []int{1, 4, 16, 64} {
		tps, err := pgbenchCounter(ctx, clients)
		if err != nil {
			return err
		}
		fmt.Printf("pgbench, %d clients: %.0f/s\n", clients, tps)
		best = max(best, tps)
	}
	f.pgbenchRate = append(f.pgbenchRate, best)
	for _, measure := range []struct {
		name    string
		pods    []place
		request func() (load.Request, int)
		clients int
		figures *[]float64
		figure  func(result) float64
	}{
		{"naive", naive, naivePing, many, &f.naiveRate, rate},
		{"pingpong", counter, ping, many, &f.rate, rate},
		{"no database", naive, emptyPage, many, &f.emptyRate, rate},
		{"naive", naive[:1], naivePing, 1, &f.naiveLone, latency},
		{"pingpong", counter[:1], ping, 1, &f.lone, latency},
	} {
		r, err := send(ctx, measure.pods, measure.clients, measure.request)
		if err != nil {
			return err
		}
		fmt.Printf("%s, %d clients: %s\n", measure.name, measure.clients, r)
		*measure.figures = append(*measure.figures, measure.figure(r))
		memory, err := c.memory(ctx, "pingpong")
		if err != nil {
			return err
		}
		f.memory = max(f.memory, memory)
	}
	return nil
}

func rate(r result) float64    { return r.perSecond }
func latency(r result) float64 { return r.median.Seconds() }

// print prints the medians of all rounds.
func (f *pingFigures) print(syncs, numbers int64, settings string) {
	counter, naive, pgbench := median(f.rate), median(f.naiveRate), median(f.pgbenchRate)
	lone, naiveLone, limit := median(f.lone), median(f.naiveLone), median(f.emptyRate)
	printTable("what", "pingpong", "peer", "ratio", "should be")
	printRow("numbers/s, 64 clients, against the best of pgbench | %.0f | %.0f | %.1f | at least 6", counter,
		pgbench,
		counter/pgbench)
	printRow("numbers/s, 64 clients, against one UPDATE a request | %.0f | %.0f | %.1f | at least 8", counter,
		naive,
		counter/naive)
	printRow("numbers/s, 64 clients, against no database, the limit | %.0f | %.0f | %.2f | ", counter, limit,
		counter/limit)
	printRow("median latency of a lone client, µs | %.0f | %.0f | %.2f | at most 1.1", lone*1e6, naiveLone*1e6,
		lone/naiveLone)
	printRow("working set of the larger container, MB | %.1f | | | at most 32", float64(f.memory)/1e6)
	printRow("WAL syncs, one client, against numbers handed out | %d | %d | %.2f | at least 1", syncs, numbers,
		float64(syncs)/float64(numbers))
	fmt.Printf("\nMedians of %d rounds. %s.\n", rounds, settings)
}

// walSyncs counts the WAL syncs of one client's pings. Other pods of the server are idle meanwhile.
func (c *cluster) walSyncs(ctx context.Context, pods []place) (syncs, numbers int64, err error) {
	settle := func() (int64, error) {
		time.Sleep(3 * time.Second) // backends report at most once a second, and after 10 s of silence
		return counts.sqlNumber(ctx, `SELECT wal_sync FROM pg_stat_wal`)
	}
	before, err := settle()
	if err != nil {
		return 0, 0, err
	}
	r, err := send(ctx, pods, 1, ping)
	if err != nil {
		return 0, 0, err
	}
	after, err := settle()
	return after - before, r.acknowledged, err
}

// pgbenchCounter returns the transactions per second of clients that all change one row.
func pgbenchCounter(ctx context.Context, clients int) (float64, error) {
	_, err := counts.sql(ctx, `DROP TABLE IF EXISTS benched; CREATE TABLE benched AS SELECT 0::bigint AS pings`)
	if err != nil {
		return 0, err
	}
	tps, err := counts.pgbench(ctx, clients, `UPDATE benched SET pings = pings + 1 RETURNING pings;`)
	if err != nil {
		return 0, err
	}
	_, err = counts.sql(ctx, `DROP TABLE benched`)
	return tps, err
}
