package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// stackRates are the answers per second of a stack's apps, in each round.
type stackRates struct{ pings, todos []float64 }

// measureStacks compares the writes of all stacks of the cluster, in turns, by their namePrefix. With a stack
// of each engine, it compares the engines.
func measureStacks(ctx context.Context, c *cluster) error {
	namespaces, err := c.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	stacks := map[string]*stackRates{}
	for _, namespace := range namespaces.Items {
		if prefix, is := strings.CutSuffix(namespace.Name, counts.namespace); is {
			stacks[prefix] = &stackRates{}
		}
	}
	prefixes := slices.Sorted(maps.Keys(stacks))
	for range rounds {
		for _, prefix := range prefixes {
			if err := stacks[prefix].measureRound(ctx, c, prefix); err != nil {
				return err
			}
		}
	}
	printTable("namePrefix", "pings/s", "new todos/s")
	for _, prefix := range prefixes {
		printRow("%q | %.0f | %.0f", prefix, median(stacks[prefix].pings), median(stacks[prefix].todos))
	}
	fmt.Printf("\n%d clients, medians of %d rounds.\n", many, rounds)
	return nil
}

func (s *stackRates) measureRound(ctx context.Context, c *cluster, prefix string) error {
	for _, app := range []struct {
		namespace, name string
		request         func() (load.Request, int)
		rates           *[]float64
	}{
		{counts.namespace, "pingpong", ping, &s.pings},
		{todos.namespace, "todo-backend", newTodo, &s.todos},
	} {
		pods, err := c.pods(ctx, prefix+app.namespace, "app="+app.name)
		if err != nil {
			return err
		}
		r, err := send(ctx, places(pods), many, app.request)
		if err != nil {
			return err
		}
		fmt.Printf("%s%s, %d clients: %s\n", prefix, app.namespace, many, r)
		*app.rates = append(*app.rates, r.perSecond)
	}
	return nil
}
