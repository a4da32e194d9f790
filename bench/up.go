package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stateful-k3s/stateful-k3s/internal/state"
)

// upFigures are the seconds of each round.
type upFigures struct{ applied, up, unchanged, diffed []float64 }

// measureUp compares `pulumi up` into an empty cluster with kubectl, which applies the same objects and waits
// for the same, and an unchanged `make up` with `kubectl diff`. The node has all images.
func measureUp(ctx context.Context, c *cluster) error {
	var f upFigures
	for range rounds {
		if err := f.measureRound(ctx, c); err != nil {
			return err
		}
	}
	a, u := median(f.applied), median(f.up)
	printTable("what", "s", "peer", "s", "ratio", "should be")
	printRow("pulumi up into an empty cluster | %.1f | kubectl apply --server-side and wait | %.1f | %.2f | "+
		"at most 1.05, and 40 s", u, a, u/a)
	printRow("unchanged make up | %.1f | kubectl diff | %.1f | | at most 12 s", median(f.unchanged),
		median(f.diffed))
	fmt.Printf("\nMedians of %d rounds.\n", rounds)
	return nil
}

func (f *upFigures) measureRound(ctx context.Context, c *cluster) error {
	objects, err := declared(ctx)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name    string
		seconds *[]float64 // nil for what is not measured
		act     func() error
	}{
		{"empty the cluster", nil, func() error { return empty(ctx, objects) }},
		{"kubectl apply", &f.applied, func() error { return apply(ctx, objects) }},
		{"empty the cluster", nil, func() error { return empty(ctx, objects) }},
		{"pulumi up", &f.up, command(ctx, "pulumi", "up", "--yes", "--skip-preview")},
		{"unchanged make up", &f.unchanged, func() error { return c.makeLab(ctx, "up") }},
		{"read the new passwords", nil, func() error { objects, err = declared(ctx); return err }},
		{"kubectl diff", &f.diffed, func() error { return diff(ctx, objects) }},
	} {
		start := time.Now()
		if err := step.act(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if step.seconds != nil {
			seconds := time.Since(start).Seconds()
			fmt.Printf("%s: %.1f s\n", step.name, seconds)
			*step.seconds = append(*step.seconds, seconds)
		}
	}
	return nil
}

// declared returns the stack's objects, as the program declares them.
func declared(ctx context.Context) ([]unstructured.Unstructured, error) {
	resources, err := state.Read(ctx, ".")
	return state.Objects(resources), err
}

// empty destroys the stack, and deletes what a destroy leaves: namespaces, with all claims and keys.
func empty(ctx context.Context, objects []unstructured.Unstructured) error {
	if _, err := run(ctx, nil, "pulumi", "destroy", "--yes", "--skip-preview"); err != nil {
		return err
	}
	return withObjects(ctx, objects, "delete", "--ignore-not-found", "--timeout=5m")
}

// apply applies objects, and waits as an up does.
func apply(ctx context.Context, objects []unstructured.Unstructured) error {
	if err := withObjects(ctx, objects, "apply", "--server-side"); err != nil {
		return err
	}
	for _, object := range objects {
		name := object.GetKind() + "/" + object.GetName()
		var err error
		switch object.GetKind() {
		case "Deployment", "StatefulSet":
			_, err = kubectl(ctx, object.GetNamespace(), nil, "rollout", "status", name, "--timeout=5m")
		case "Job":
			_, err = kubectl(ctx, object.GetNamespace(), nil, "wait", "--for=condition=Complete", name, "--timeout=5m")
		case "PersistentVolumeClaim":
			_, err = kubectl(ctx, object.GetNamespace(), nil, "wait", "--for=jsonpath={.status.phase}=Bound", name,
				"--timeout=5m")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// diff looks for differences. There may be some: the API server fills in what the program leaves out.
func diff(ctx context.Context, objects []unstructured.Unstructured) error {
	err := withObjects(ctx, objects, "diff", "--server-side", "--force-conflicts")
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	return err
}

func withObjects(ctx context.Context, objects []unstructured.Unstructured, args ...string) error {
	list, err := state.List(objects)
	if err != nil {
		return err
	}
	_, err = run(ctx, list, "kubectl", append(args, "--filename=-")...)
	return err
}

// command returns a function that runs a command.
func command(ctx context.Context, name string, args ...string) func() error {
	return func() error {
		_, err := run(ctx, nil, name, args...)
		return err
	}
}
