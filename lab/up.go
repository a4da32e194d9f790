package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/cluster"
	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/hugepages"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/lock"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/preflight"
	"github.com/stateful-k3s/stateful-k3s/lab/stack"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func modules(lab layout.Lab) string { return filepath.Join(lab.Checkout, "lab", "tools") }

// up starts the lab, unless the user has a cluster of their own, which yes says is to be used.
func up(ctx context.Context, lab layout.Lab, yes bool) error {
	if own := ownCluster(); own != "" {
		if err := agree(lab, own, yes, os.Stdin); err != nil {
			return err
		}
		return useOwnCluster(ctx, lab, own)
	}
	binaries, err := getAndStart(ctx, lab, asRoot("start", start))
	if err != nil {
		return err
	}
	variables, err := stack.LabVariables(lab)
	if err != nil {
		return err
	}
	env, err := stack.Prepare(ctx, lab, binaries, variables)
	if err != nil {
		return err
	}
	slog.Info("the lab is up", "name", lab.Name, "shell", ". "+env)
	return nil
}

// get fills the cache, so that a lab that is started later need not wait for that.
func get(ctx context.Context, lab layout.Lab) error {
	_, err := getAndStart(ctx, lab, func(context.Context, layout.Lab) error { return nil })
	return err
}

// getAndStart gets what is not cached, and starts the cluster when all is there that it needs.
func getAndStart(ctx context.Context, lab layout.Lab,
	start func(context.Context, layout.Lab) error) (binaries tools.Binaries, err error) {
	if err := ready(ctx, lab, false); err != nil {
		return nil, err
	}
	if err := install("packages", preflight.ForLab)(ctx, lab); err != nil {
		return nil, err
	}
	base, system, err := labImages(ctx, lab)
	if err != nil {
		return nil, err
	}
	plan, err := newPlan(lab, needed(lab, system), slices.Concat(base, system))
	if err != nil {
		return nil, err
	}
	slog.Info(plan.String())
	if err := images.Pull(ctx, lab.Cache,
		system); err != nil { // before the tools, some of which are for these images alone
		return nil, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	haveBase := make(chan struct{})
	group.Go(func() error {
		defer close(haveBase)
		return getBase(groupCtx, lab, base)
	})
	group.Go(func() (err error) {
		binaries, err = getTools(groupCtx, lab, needed(lab, system), func(ctx context.Context) error {
			<-haveBase
			if err := ctx.Err(); err != nil {
				return err
			}
			return start(ctx, lab)
		})
		return err
	})
	err = group.Wait()
	return binaries, err
}

// getTools finds, downloads or compiles tools. The cluster starts as soon as its own are there, while
// Pulumi's are compiled.
func getTools(ctx context.Context, lab layout.Lab, want []tools.Tool,
	start func(context.Context) error) (tools.Binaries, error) {
	left, err := tools.Fetch(ctx, lab.Cache, modules(lab), want)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 {
		announceCompiling(left)
		if err := ready(ctx, lab, true); err != nil {
			return nil, err
		}
	}
	hasProgram := stack.HasProgram(lab)
	if len(left) > 0 || !hasProgram {
		release, err := hugepages.Lend()
		if err != nil {
			return nil, err
		}
		defer release()
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if _, err := tools.Build(groupCtx, lab.Cache, modules(lab),
			slices.DeleteFunc(slices.Clone(want), tools.Tool.IsPulumi)); err != nil {
			return err
		}
		return start(groupCtx)
	})
	group.Go(func() error {
		if _, err := tools.Build(groupCtx, lab.Cache, modules(lab), tools.Pulumi()); err != nil {
			return err
		}
		if hasProgram {
			return nil
		}
		return stack.CompileProgram(groupCtx, lab)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := tools.Clean(lab.Cache); err != nil {
		return nil, fmt.Errorf("deleting the caches of the compiler: %w", err)
	}
	binaries, _, err := tools.Cached(lab.Cache, modules(lab), want)
	return binaries, err
}

func getBase(ctx context.Context, lab layout.Lab, base []images.Image) error {
	if err := images.Pull(ctx, lab.Cache, base); err != nil {
		return err
	}
	if len(images.Missing(lab.Cache, base)) == 0 {
		return nil
	}
	return asRoot("assemble", assembleBase)(ctx, lab)
}

// ready fails when the machine lacks something for a lab, or for compiling its tools as well.
func ready(ctx context.Context, lab layout.Lab, compile bool) error {
	if err := preflight.Check(ctx,
		preflight.SpaceFor(compile, lab.Cache, lab.Dir(), cluster.Made(lab))); err != nil {
		return fmt.Errorf("this machine is not ready for a lab:\n%w", err)
	}
	return nil
}

// labImages are the lab's images, in the cache or not.
func labImages(ctx context.Context, lab layout.Lab) (base, system []images.Image, err error) {
	paths, err := tools.Paths(lab.Cache, modules(lab), tools.All)
	if err != nil {
		return nil, nil, err
	}
	if base, err = images.Base(ctx, lab.Checkout); err != nil {
		return nil, nil, err
	}
	system, err = images.System(ctx, paths)
	return base, system, err
}

// needed are the tools that run in the lab, and those that its missing images are made of.
func needed(lab layout.Lab, system []images.Image) []tools.Tool {
	missing := images.Missing(lab.Cache, system)
	return slices.DeleteFunc(slices.Clone(tools.All), func(tool tools.Tool) bool {
		isIts := func(image images.Image) bool { return image.Tool == tool.Name }
		return slices.ContainsFunc(system, isIts) && !slices.ContainsFunc(missing, isIts)
	})
}

// useOwnCluster leaves the cluster of the user's KUBECONFIG as it is, and makes
// Pulumi ready for it: the one on PATH with its backend, or else the lab's.
func useOwnCluster(ctx context.Context, lab layout.Lab, kubeconfig string) error {
	variables := []stack.Variable{{Name: "KUBECONFIG", Value: kubeconfig}}
	if pulumi, err := exec.LookPath("pulumi"); err == nil {
		slog.Info("using the pulumi on PATH, with its backend", "pulumi", pulumi)
		if _, err := stack.WriteEnvironment(lab,
			append(variables, stack.Variable{Name: "PULUMI_STACK", Value: lab.Name}), ""); err != nil {
			return err
		}
		create := exec.CommandContext(ctx, pulumi, "stack", "select", "--create", "--stack", lab.Name)
		create.Dir = lab.Checkout
		create.Stdin, create.Stdout, create.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := create.Run(); err != nil {
			return fmt.Errorf("selecting the stack %s: %w", lab.Name, err)
		}
		return nil
	}
	lab, err := lab.InHome()
	if err != nil {
		return err
	}
	plan, err := newPlan(lab, tools.Pulumi(), nil)
	if err != nil {
		return err
	}
	slog.Info(plan.String())
	left, err := tools.Fetch(ctx, lab.Cache, modules(lab), tools.Pulumi())
	if err != nil {
		return err
	}
	announceCompiling(left)
	binaries, err := tools.Build(ctx, lab.Cache, modules(lab), tools.Pulumi())
	if err != nil {
		return err
	}
	if err := tools.Clean(lab.Cache); err != nil {
		return fmt.Errorf("deleting the caches of the compiler: %w", err)
	}
	_, err = stack.Prepare(ctx, lab, binaries, variables)
	return err
}

// recoverStack leaves a stack alone that is on another cluster.
func recoverStack(ctx context.Context, lab layout.Lab) error {
	if err := stack.CheckCluster(ctx, lab); err != nil {
		return err
	}
	return stack.Recover(ctx, lab)
}

// withState runs a step on the lab that has the stack's state, which for a cluster of the user's own is in
// the user's home.
func withState(step func(context.Context, layout.Lab) error) func(context.Context, layout.Lab) error {
	return func(ctx context.Context, lab layout.Lab) error {
		if ownCluster() != "" {
			var err error
			if lab, err = lab.InHome(); err != nil {
				return err
			}
		}
		return step(ctx, lab)
	}
}

// install takes root only when something is lacking; command is what it is called with sudo.
func install(command string, packages []preflight.Package) func(context.Context, layout.Lab) error {
	return func(ctx context.Context, lab layout.Lab) error {
		if len(preflight.Lacking(packages)) == 0 {
			return nil
		}
		release, err := lock.Take(ctx, filepath.Join(lab.Cache, "locks", "packages"),
			"another command that installs packages")
		if err != nil {
			return err
		}
		defer release()
		return asRoot(command, installNow(packages))(ctx, lab)
	}
}

func installNow(packages []preflight.Package) func(context.Context, layout.Lab) error {
	return func(ctx context.Context, _ layout.Lab) error { return preflight.Install(ctx, packages) }
}

func assembleBase(ctx context.Context, lab layout.Lab) error {
	base, _, err := labImages(ctx, lab)
	if err != nil {
		return err
	}
	return assemble(ctx, lab, base)
}

// assemble leaves the cache to the user, also when root fills it.
func assemble(ctx context.Context, lab layout.Lab, wanted []images.Image) error {
	if err := images.Assemble(ctx, lab.Cache, wanted); err != nil {
		return err
	}
	return owner().Own(filepath.Join(lab.Cache, "images"))
}

func start(ctx context.Context, lab layout.Lab) error {
	base, system, err := labImages(ctx, lab)
	if err != nil {
		return err
	}
	binaries, missing, err := tools.Cached(lab.Cache, modules(lab),
		slices.DeleteFunc(needed(lab, system), tools.Tool.IsPulumi))
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s is not there: run make lab-up", missing[0].Name)
	}
	if err := assemble(ctx, lab, system); err != nil {
		return err
	}
	k3s, err := tools.ModuleDir(ctx, filepath.Join(modules(lab), "kubernetes"), "github.com/k3s-io/k3s")
	if err != nil {
		return err
	}
	return cluster.Up(ctx, cluster.Config{
		Lab: lab, Binaries: binaries, System: system, Base: base,
		Manifests: filepath.Join(k3s, "manifests"), Owner: owner(),
	})
}
