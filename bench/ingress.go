package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// here is the network namespace in which people's browsers are.
const here = "/proc/self/ns/net"

// ingressAddress is that of the lab's ingress controller.
func ingressAddress() (string, error) {
	address := os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS")
	if address == "" {
		return "", errors.New("STATEFUL_K3S_INGRESS_ADDRESS is not set: run make bench")
	}
	return address, nil
}

// way is one on which clients reach pods.
type way struct {
	name, network string
	addresses     []string
	request       func() (load.Request, int)
	rates         []float64
	latencies     []float64 // µs
	spent         map[string]float64
}

// measureIngress compares pings through the ingress with pings straight at the pods, with those of the peer
// on the same way, and with a page of the peer that takes no database: nothing behind this ingress is faster.
func measureIngress(ctx context.Context, c *cluster) error {
	address, err := ingressAddress()
	if err != nil {
		return err
	}
	pods, err := c.pods(ctx, counts.namespace, "app=pingpong")
	if err != nil {
		return err
	}
	defer c.stopNaive()
	if _, err := c.startNaive(ctx); err != nil {
		return err
	}
	ingress := []string{address + ":80"}
	ways := []*way{
		{name: "straight at the pods", network: c.network(), addresses: addresses(pods), request: ping},
		{name: "through the ingress", network: here, addresses: ingress, request: ping},
		{name: "one UPDATE a request, through the ingress", network: here, addresses: ingress, request: naivePing},
		{name: "no database, through the ingress", network: here, addresses: ingress, request: emptyPage},
	}
	for range rounds {
		for _, way := range ways {
			if err := way.measure(ctx); err != nil {
				return err
			}
		}
	}
	const heads = "\n| pingpong, %d clients | answers/s | median latency, µs | CPU seconds of %s: clients | traefik | pingpong | naive " +
		"| postgres |\n|---|---|---|---|---|---|---|---|\n"
	fmt.Printf(heads, many, duration)
	for _, way := range ways {
		fmt.Printf("| %s | %.0f | %.0f | %.1f | %.1f | %.1f | %.1f | %.1f |\n", way.name, median(way.rates),
			median(way.latencies),
			way.spent["bench"], way.spent["traefik"], way.spent["pingpong"], way.spent["naive"], way.spent["postgres"])
	}
	through, peer, limit := median(ways[1].rates), median(ways[2].rates), median(ways[3].rates)
	fmt.Printf("\n| numbers/s through the ingress, %d clients | pingpong | peer | ratio | should be |\n|---|---|---|---|---|\n", many)
	fmt.Printf("| against one UPDATE a request | %.0f | %.0f | %.1f | at least 3 |\n", through, peer,
		through/peer)
	fmt.Printf("| against no database, the limit | %.0f | %.0f | %.2f | |\n", through, limit, through/limit)
	fmt.Printf("\nMedians of %d rounds; CPU seconds of the last one.\n", rounds)
	return nil
}

// measure takes one round.
func (w *way) measure(ctx context.Context) error {
	before := cpuSeconds()
	r, err := send(ctx, w.network, w.addresses, many, w.request)
	if err != nil {
		return err
	}
	w.spent = map[string]float64{}
	for program, seconds := range cpuSeconds() {
		w.spent[program] = seconds - before[program]
	}
	fmt.Printf("%s, %d clients: %s\n", w.name, many, r)
	w.rates = append(w.rates, r.perSecond)
	w.latencies = append(w.latencies, float64(r.median.Microseconds()))
	return nil
}
