package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// here is this process's network namespace, where people's browsers are.
const here = "/proc/self/ns/net"

// ingressAddress returns the address of the lab's ingress controller.
func ingressAddress() (string, error) {
	address := os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS")
	if address == "" {
		return "", errors.New("STATEFUL_K3S_INGRESS_ADDRESS is not set: run make bench")
	}
	return address, nil
}

// route is one way to an app.
type route struct {
	name      string
	places    []place
	request   func() (load.Request, int)
	rates     []float64
	latencies []float64 // µs
	spent     map[string]float64
}

// measureIngress compares pings through the ingress with pings straight to the pods, with the peer's pings
// through the ingress, and with a page of the peer that needs no database: nothing behind this ingress is
// faster.
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
	ingress := []place{{here, address + ":80"}}
	routes := []*route{
		{name: "straight at the pods", places: places(pods), request: ping},
		{name: "through the ingress", places: ingress, request: ping},
		{name: "one UPDATE a request, through the ingress", places: ingress, request: naivePing},
		{name: "no database, through the ingress", places: ingress, request: emptyPage},
	}
	for range rounds {
		for _, route := range routes {
			if err := route.measure(ctx); err != nil {
				return err
			}
		}
	}
	printTable(fmt.Sprintf("pingpong, %d clients", many), "answers/s", "median latency, µs",
		fmt.Sprintf("CPU seconds of %s: clients", duration), "traefik", "pingpong", "naive", "postgres")
	for _, r := range routes {
		printRow("%s | %.0f | %.0f | %.1f | %.1f | %.1f | %.1f | %.1f", r.name, median(r.rates),
			median(r.latencies),
			r.spent["bench"], r.spent["traefik"], r.spent["pingpong"], r.spent["naive"], r.spent["postgres"])
	}
	through, peer, limit := median(routes[1].rates), median(routes[2].rates), median(routes[3].rates)
	printTable(fmt.Sprintf("numbers/s through the ingress, %d clients", many), "pingpong", "peer", "ratio",
		"should be")
	printRow("against one UPDATE a request | %.0f | %.0f | %.1f | at least 3", through, peer, through/peer)
	printRow("against no database, the limit | %.0f | %.0f | %.2f | ", through, limit, through/limit)
	fmt.Printf("\nMedians of %d rounds; CPU seconds of the last one.\n", rounds)
	return nil
}

// measure measures one round.
func (r *route) measure(ctx context.Context) error {
	before := cpuSeconds()
	result, err := send(ctx, r.places, many, r.request)
	if err != nil {
		return err
	}
	r.spent = map[string]float64{}
	for program, seconds := range cpuSeconds() {
		r.spent[program] = seconds - before[program]
	}
	fmt.Printf("%s, %d clients: %s\n", r.name, many, result)
	r.rates = append(r.rates, result.perSecond)
	r.latencies = append(r.latencies, float64(result.median.Microseconds()))
	return nil
}
