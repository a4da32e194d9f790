// Bench measures pingpong against its peers, in turns and on the same Postgres pod, and prints a table.
//
// The load comes from the node's network namespace straight to the pods, without Service and ingress, from this
// process on the same machine. pgbench runs in the pod of Postgres, on its socket and so without TLS.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"time"
)

const (
	rounds   = 3
	duration = 5 * time.Second
	many     = 64
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// samples are those of all rounds.
type samples struct {
	counter, naive, counterLone, naiveLone, pgbench []float64
	memory                                          int64
}

func run(ctx context.Context) error {
	c, err := newCluster()
	if err != nil {
		return err
	}
	counters, err := c.pods(ctx, "app=pingpong,bench!=naive")
	if err != nil {
		return err
	}
	defer c.stopNaive()
	naives, err := c.startNaive(ctx)
	if err != nil {
		return err
	}
	counter, naive := addresses(counters), addresses(naives)
	for _, pods := range [][]string{counter, naive} { // warm up
		if _, err := ping(ctx, c.network(), pods, many, duration); err != nil {
			return err
		}
	}
	var s samples
	best := 0.0
	for range rounds {
		for _, clients := range []int{1, 4, 16, 64} {
			tps, err := pgbench(ctx, clients)
			if err != nil {
				return err
			}
			fmt.Printf("pgbench, %d clients: %.0f/s\n", clients, tps)
			best = max(best, tps)
		}
		for _, measure := range []struct {
			name             string
			pods             []string
			clients          int
			rates, latencies *[]float64
		}{
			{"naive", naive, many, &s.naive, nil},
			{"pingpong", counter, many, &s.counter, nil},
			{"naive", naive[:1], 1, nil, &s.naiveLone},
			{"pingpong", counter[:1], 1, nil, &s.counterLone},
		} {
			r, err := ping(ctx, c.network(), measure.pods, measure.clients, duration)
			if err != nil {
				return err
			}
			fmt.Printf("%s, %d clients: %.0f/s, median %s, p99 %s\n", measure.name, measure.clients, r.perSecond, r.median, r.p99)
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
	settings, err := sql(ctx, `SELECT string_agg(name || ' ' || setting, ', ' ORDER BY name) FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')`)
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
	fmt.Printf("| numbers/s, 64 clients, against the best of pgbench | %.0f | %.0f | %.1f | at least 6 |\n", counter, pgbench, counter/pgbench)
	fmt.Printf("| numbers/s, 64 clients, against one UPDATE a request | %.0f | %.0f | %.1f | at least 8 |\n", counter, naive, counter/naive)
	lone, naiveLone := median(s.counterLone), median(s.naiveLone)
	fmt.Printf("| median latency of a lone client, µs | %.0f | %.0f | %.2f | at most 1.1 |\n", lone*1e6, naiveLone*1e6, lone/naiveLone)
	fmt.Printf("| working set of the larger container, MB | %.1f | | | at most 32 |\n", float64(s.memory)/1e6)
	fmt.Printf("| WAL syncs, one client, against numbers handed out | %d | %d | %.2f | at least 1 |\n", syncs, numbers, float64(syncs)/float64(numbers))
	fmt.Printf("\nMedians of %d rounds. %s.\n", rounds, settings)
}

// walSyncs are those that one client's pings cost. Other pods that share the server are idle meanwhile.
func (c *cluster) walSyncs(ctx context.Context, pods []string) (syncs, numbers int64, err error) {
	settle := func() (int64, error) {
		time.Sleep(3 * time.Second) // backends report once a second at most, and after 10 s of silence at the latest
		return sqlNumber(ctx, `SELECT wal_sync FROM pg_stat_wal`)
	}
	before, err := settle()
	if err != nil {
		return 0, 0, err
	}
	r, err := ping(ctx, c.network(), pods, 1, duration)
	if err != nil {
		return 0, 0, err
	}
	after, err := settle()
	return after - before, r.acknowledged, err
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// pgbench is the transactions in a second of clients that all change one row.
func pgbench(ctx context.Context, clients int) (float64, error) {
	const script = `UPDATE benched SET pings = pings + 1 RETURNING pings`
	if _, err := sql(ctx, `DROP TABLE IF EXISTS benched; CREATE TABLE benched AS SELECT 0::bigint AS pings`); err != nil {
		return 0, err
	}
	seconds := strconv.Itoa(int(duration.Seconds()))
	n := strconv.Itoa(clients)
	out, err := inPostgres(ctx, "sh", "-c", `pgbench --no-vacuum --protocol=prepared --client=`+n+` --jobs=`+strconv.Itoa(min(clients, 2))+
		` --time=`+seconds+` --file=/dev/stdin pingpong <<'SQL'
`+script+`;
SQL
`)
	if err != nil {
		return 0, err
	}
	if _, err := sql(ctx, `DROP TABLE benched`); err != nil {
		return 0, err
	}
	match := tps.FindStringSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("pgbench says no tps:\n%s", out)
	}
	return strconv.ParseFloat(match[1], 64)
}
