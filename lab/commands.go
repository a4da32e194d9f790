package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stateful-k3s/stateful-k3s/lab/cluster"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/hugepages"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/lock"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/stack"
)

// step is something that a command does with a lab.
type step func(context.Context, layout.Lab) error

func command() *cobra.Command {
	var at location
	root := &cobra.Command{
		Use: "lab", Short: "A real k3s on this machine",
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&at.name, "name", layout.Default, "name of the lab")
	flags.StringVar(&at.cache, "cache", "", "directory of tools and images (default ~/.cache/stateful-k3s)")
	flags.StringVar(&at.checkout, "checkout", ".", "the repository")
	flags.IntVar(&at.nodes, "nodes", 0, "nodes of the lab (default as many as it has, 1 if it is new)")

	add := func(use, short string, run step) *cobra.Command {
		cmd := &cobra.Command{
			Use: use, Short: short, Hidden: short == "", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				lab, err := at.lab()
				if err != nil {
					return err
				}
				return run(cmd.Context(), lab)
			},
		}
		root.AddCommand(cmd)
		return cmd
	}
	var yes bool
	add("up", "Get what is missing, and start the lab", alone(
		func(ctx context.Context, lab layout.Lab) error {
			if at.nodes > 0 && existingCluster() != "" {
				return errors.New("NODES is for a lab, and KUBECONFIG leads to a cluster of your own: leave one of " +
					"them out")
			}
			return up(ctx, lab, yes)
		})).
		Flags().BoolVar(&yes, "yes", false, "use the cluster of $KUBECONFIG without asking")
	add("delete", "Stop the lab, and delete its volumes, images and state",
		func(ctx context.Context, lab layout.Lab) error { return remove(ctx, lab, yes) }).
		Flags().BoolVar(&yes, "yes", false, "do not ask")
	var all bool
	add("get", "Get what is missing, but start nothing",
		func(ctx context.Context, lab layout.Lab) error { return get(ctx, lab, all) }).
		Flags().BoolVar(&all, "all", false, "also get what only some settings of a stack need")
	add("down", "Stop the lab; its volumes stay", alone(down))
	add("status", "Show what runs and what is wrong", asRoot("show-status"))
	add("summary", "Show what to do with the stack that is up", showSummary)
	add("recover", "Clean up after a killed pulumi", withState(recoverStack))
	add("keep", "Keep a copy of the stack's state", withState(
		func(_ context.Context, lab layout.Lab) error { return stack.Keep(lab, time.Now()) }))
	add("hibernate", "Stop the stack's servers of CloudNativePG; their volumes stay", withState(stack.Hibernate))
	add("purge", "Destroy the stack, and delete its namespaces with all volumes",
		func(ctx context.Context, lab layout.Lab) error {
			return stack.Purge(ctx, lab, func(what string) bool { return confirmDeletion(what, lab.Name) })
		})
	add("test-packages", "Get what the tests need", prepareTests)
	add("sources", "Copy the sources that go needs to load the tools' modules",
		func(ctx context.Context, lab layout.Lab) error { return toolsOf(lab).CopySources(ctx) })
	for name, step := range privileged() {
		add(name, "", step)
	}
	addNodeCommands(root, &at)
	root.AddCommand(&cobra.Command{
		Use: "huge-pages COMMAND", Short: "Run a command that compiles, with huge pages", Hidden: true,
		Args: cobra.MinimumNArgs(1), DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return hugepages.Exec(args) },
	})
	root.AddCommand(&cobra.Command{
		Use: cluster.InitCommand, Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return cluster.Init(args[0]) },
	})
	return root
}

// location has the flags that say which lab a command is about.
type location struct {
	name, cache, checkout string
	nodes                 int
}

func (l location) lab() (layout.Lab, error) {
	cache := l.cache
	if cache == "" {
		var err error
		if cache, err = layout.DefaultCache(); err != nil {
			return layout.Lab{}, err
		}
	}
	checkout, err := filepath.Abs(l.checkout)
	if err != nil {
		return layout.Lab{}, err
	}
	lab, err := layout.New(l.name, cache, checkout)
	if err != nil {
		return layout.Lab{}, err
	}
	return lab.WithNodes(l.nodes)
}

// alone runs a step while no other command starts or stops the lab.
func alone(run step) step {
	return func(ctx context.Context, lab layout.Lab) error {
		release, err := lock.Take(ctx, filepath.Join(lab.Cache, "locks", lab.ID()),
			"another command that starts or stops the lab "+lab.Name)
		if err != nil {
			return err
		}
		defer release()
		return run(ctx, lab)
	}
}

// withState runs a step on the lab that has the stack's state. With the user's own cluster it is in their
// home.
func withState(run step) step {
	return func(ctx context.Context, lab layout.Lab) error {
		if existingCluster() != "" {
			var err error
			if lab, err = lab.InHome(); err != nil {
				return err
			}
		}
		return run(ctx, lab)
	}
}

// down refuses to stop a cluster that a pulumi works on: it would wait for the cluster.
func down(ctx context.Context, lab layout.Lab) error {
	if err := stack.Idle(lab); err != nil {
		return err
	}
	return asRoot("stop")(ctx, lab)
}

func remove(ctx context.Context, lab layout.Lab, yes bool) error {
	if !yes && !confirmDeletion("the lab "+lab.Name+" with all its volumes", lab.Name) {
		return errors.New("nothing was deleted")
	}
	return alone(asRoot("erase"))(ctx, lab)
}

func showStatus(ctx context.Context, lab layout.Lab) error {
	status := cluster.GetStatus(ctx, lab)
	width := 12
	for _, line := range status.Lines {
		width = max(width, len(line[0]))
	}
	show := func(name, what string) { fmt.Printf("%-*s %s\n", width, name, what) }
	for _, line := range status.Lines {
		show(line[0], line[1])
	}
	for _, fault := range status.Faults {
		show("wrong", fault)
	}
	if len(status.Faults) > 0 {
		return errors.New("not all is well")
	}
	show("shell", ". "+lab.CheckoutDir("env"))
	return nil
}

// recoverStack leaves a stack on another cluster alone.
func recoverStack(ctx context.Context, lab layout.Lab) error {
	if err := stack.CheckCluster(ctx, lab); err != nil {
		return err
	}
	return stack.Recover(ctx, lab)
}

// confirmDeletion asks for a word that nobody types without reading.
func confirmDeletion(what, word string) bool {
	return confirm(os.Stdin, fmt.Sprintf("This deletes %s\nType %s to continue: ", what, word), word)
}

func confirm(from io.Reader, prompt, word string) bool {
	fmt.Print(prompt)
	answer, _ := bufio.NewReader(from).ReadString('\n')
	return strings.TrimSpace(answer) == word
}
