// Command lab runs a real k3s on this machine, from pinned Go modules and Debian
// packages, and makes Pulumi ready to use it.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stateful-k3s/stateful-k3s/lab/cluster"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/hugepages"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/lock"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/preflight"
	"github.com/stateful-k3s/stateful-k3s/lab/stack"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(progress.Show(os.Stderr),
		&slog.HandlerOptions{ReplaceAttr: shorten})))
	// Pods and builds read files that the lab and its daemons write; what others may not read lies in
	// directories of its own.
	syscall.Umask(0o022)
	if err := exemptLab(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", advise(err))
		os.Exit(1)
	}
}

// shorten leaves of each line what a person at a terminal wants to see.
func shorten(_ []string, attribute slog.Attr) slog.Attr {
	switch attribute.Key {
	case slog.TimeKey:
		return slog.String(slog.TimeKey, attribute.Value.Time().Format(time.TimeOnly))
	case slog.LevelKey:
		return slog.Attr{}
	}
	return attribute
}

func command() *cobra.Command {
	var name, cache, checkout string
	root := &cobra.Command{
		Use: "lab", Short: "A real k3s on this machine",
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&name, "name", layout.Default, "name of the lab, from which all it has derives")
	flags.StringVar(&cache, "cache", "", "where tools and images are kept (default ~/.cache/stateful-k3s)")
	flags.StringVar(&checkout, "checkout", ".", "the repository")

	add := func(use, short string, hidden bool, run func(context.Context, layout.Lab) error) {
		root.AddCommand(&cobra.Command{
			Use: use, Short: short, Hidden: hidden, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				lab, err := find(name, cache, checkout)
				if err != nil {
					return err
				}
				return run(cmd.Context(), lab)
			},
		})
	}
	add("get", "Get what is not cached, and start nothing", false, get)
	add("down", "Stop the lab; its volumes stay", false, alone(down))
	add("status", "Say what runs", false, asRoot("status", status))
	add("test-packages", "Get what the tests need", false, prepareTests)
	add("sources", "Copy what go needs to load the tools' modules", true,
		func(ctx context.Context, lab layout.Lab) error {
			return tools.CopySources(ctx, lab.Cache, modules(lab))
		})
	add("next", "Say what can be done with the stack that is up", false, next)
	add("recover", "Clear what a pulumi that died left in the stack", false, withState(recoverStack))
	add("keep", "Keep a copy of the stack's state", false,
		withState(func(_ context.Context, lab layout.Lab) error {
			return stack.Keep(lab, time.Now())
		}))

	add("purge", "Destroy the stack and delete its namespaces with all volumes", false,
		func(ctx context.Context, lab layout.Lab) error {
			return stack.Purge(ctx, lab, func(what string) bool { return confirm(os.Stdin, what, lab.Name) })
		})

	var yes bool
	bringUp := &cobra.Command{
		Use: "up", Short: "Get what is not cached, and start the lab", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lab, err := find(name, cache, checkout)
			if err != nil {
				return err
			}
			return alone(func(ctx context.Context, lab layout.Lab) error { return up(ctx, lab, yes) })(cmd.Context(),
				lab)
		},
	}
	bringUp.Flags().BoolVar(&yes, "yes", false, "use the cluster of $KUBECONFIG, if it is set, without asking")
	root.AddCommand(bringUp)

	remove := &cobra.Command{
		Use: "delete", Short: "Stop the lab and delete all it has: volumes, images and state", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lab, err := find(name, cache, checkout)
			if err != nil {
				return err
			}
			if !yes && !confirm(os.Stdin, "the lab "+lab.Name+" with all its volumes", lab.Name) {
				return errors.New("nothing was deleted")
			}
			return alone(asRoot("erase", cluster.Delete))(cmd.Context(), lab)
		},
	}
	remove.Flags().BoolVar(&yes, "yes", false, "do not ask")
	root.AddCommand(remove)

	// What takes root, so that only this does.
	add("packages", "", true, installNow(preflight.ForLab))
	add("packages-for-tests", "", true, installNow(preflight.ForTests))
	add("extract", "", true, extract)
	add("assemble", "", true, assembleBase)
	add("start", "", true, start)
	add("stop", "", true, cluster.Down)
	add("erase", "", true, cluster.Delete)

	var dir string
	serve := &cobra.Command{
		Use: "mirror", Short: "Serve the cache as releases and a registry, to try those ways to get it",
		Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lab, err := find(name, cache, checkout)
			if err != nil {
				return err
			}
			return serveMirror(cmd.Context(), lab, dir)
		},
	}
	serve.Flags().StringVar(&dir, "dir", "", "where the files are written (default a temporary directory)")
	root.AddCommand(serve)
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

func find(name, cache, checkout string) (layout.Lab, error) {
	if cache == "" {
		var err error
		if cache, err = layout.DefaultCache(); err != nil {
			return layout.Lab{}, err
		}
	}
	checkout, err := filepath.Abs(checkout)
	if err != nil {
		return layout.Lab{}, err
	}
	return layout.New(name, cache, checkout)
}

func status(ctx context.Context, lab layout.Lab) error {
	status := cluster.Look(ctx, lab)
	for _, line := range status.Lines {
		fmt.Printf("%-12s %s\n", line[0], line[1])
	}
	for _, fault := range status.Faults {
		fmt.Printf("%-12s %s\n", "wrong", fault)
	}
	if len(status.Faults) > 0 {
		return errors.New("not all is well")
	}
	fmt.Printf("%-12s %s\n", "shell", ". "+lab.CheckoutDir("env"))
	return nil
}

// confirm asks for a word, which is never the one that people type without reading.
func confirm(from io.Reader, what, word string) bool {
	fmt.Printf("This deletes %s\nType %s to go on: ", what, word)
	answer, _ := bufio.NewReader(from).ReadString('\n')
	return strings.TrimSpace(answer) == word
}

// down leaves a cluster alone that a pulumi works on, which would wait for it.
func down(ctx context.Context, lab layout.Lab) error {
	if err := stack.Idle(lab); err != nil {
		return err
	}
	return asRoot("stop", cluster.Down)(ctx, lab)
}

// alone runs a step when no other one of the lab does.
func alone(step func(context.Context, layout.Lab) error) func(context.Context, layout.Lab) error {
	return func(ctx context.Context, lab layout.Lab) error {
		release, err := lock.Take(ctx, filepath.Join(lab.Cache, "locks", lab.ID()),
			"another command that starts or stops the lab "+lab.Name)
		if err != nil {
			return err
		}
		defer release()
		return step(ctx, lab)
	}
}

// proxies are the variables that name proxies and exceptions.
const proxies = "HTTP_PROXY,HTTPS_PROXY,NO_PROXY,http_proxy,https_proxy,no_proxy"

// asRoot runs a step here if this is root, else the command of that name with sudo.
func asRoot(command string, step func(context.Context, layout.Lab) error) func(context.Context,
	layout.Lab) error {
	if os.Geteuid() == 0 {
		return step
	}
	return func(ctx context.Context, lab layout.Lab) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "sudo",
			"--preserve-env=PATH,HOME,GOPATH,GOCACHE,GOMODCACHE,GOPROXY,GOTOOLCHAIN,"+proxies, self, command,
			"--name", lab.Name, "--cache", lab.Cache, "--checkout", lab.Checkout)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		defer progress.Hold()() // sudo may ask for a password, and the command shows its own progress
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("sudo lab %s: %w", command, err)
		}
		return nil
	}
}

// owner is who called, also through sudo.
func owner() cluster.Owner {
	owner := cluster.Owner{UID: os.Getuid(), GID: os.Getgid()}
	if uid, err := strconv.Atoi(os.Getenv("SUDO_UID")); err == nil {
		owner.UID = uid
	}
	if gid, err := strconv.Atoi(os.Getenv("SUDO_GID")); err == nil {
		owner.GID = gid
	}
	return owner
}
