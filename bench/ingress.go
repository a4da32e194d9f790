package main

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// measureIngress compares pings through the ingress with pings straight at the pods.
func measureIngress(ctx context.Context, c *cluster) error {
	address, err := ingressAddress()
	if err != nil {
		return err
	}
	pods, err := c.pods(ctx, counts.namespace, "app=pingpong,bench!=naive")
	if err != nil {
		return err
	}
	ways := []struct {
		name, network string
		addresses     []string
		rates         []float64
		latencies     []float64 // µs
		spent         map[string]float64
	}{
		{name: "straight at the pods", network: c.network(), addresses: addresses(pods)},
		{name: "through the ingress", network: here, addresses: []string{address + ":80"}},
	}
	for range rounds {
		for i := range ways {
			way := &ways[i]
			before := cpuSeconds()
			r, err := send(ctx, way.network, way.addresses, many, ping)
			if err != nil {
				return err
			}
			way.spent = map[string]float64{}
			for program, seconds := range cpuSeconds() {
				way.spent[program] = seconds - before[program]
			}
			fmt.Printf("pingpong %s, %d clients: %s\n", way.name, many, r)
			way.rates = append(way.rates, r.perSecond)
			way.latencies = append(way.latencies, float64(r.median.Microseconds()))
		}
	}
	fmt.Printf("\n| pingpong, %d clients | numbers/s | median latency, µs | CPU seconds of %s: clients | traefik | pingpong | postgres |\n|---|---|---|---|---|---|---|\n", many, duration)
	for _, way := range ways {
		fmt.Printf("| %s | %.0f | %.0f | %.1f | %.1f | %.1f | %.1f |\n", way.name, median(way.rates), median(way.latencies),
			way.spent["bench"], way.spent["traefik"], way.spent["pingpong"], way.spent["postgres"])
	}
	fmt.Printf("\nMedians of %d rounds; CPU seconds of the last one.\n", rounds)
	return nil
}
