package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stateful-k3s/stateful-k3s/internal/state"
)

// measureUp compares `pulumi up` into an empty cluster with kubectl, which applies the same objects and waits for the same, and an
// unchanged `make up` with `kubectl diff`. The node has all images.
func measureUp(ctx context.Context, c *cluster) error {
	var applied, up, unchanged, diffed []float64 // seconds
	for range rounds {
		objects, err := declared(ctx)
		if err != nil {
			return err
		}
		if err := empty(ctx, objects); err != nil {
			return err
		}
		for _, step := range []struct {
			name   string
			took   *[]float64
			act    func() error
			before func() error
		}{
			{"kubectl apply", &applied, func() error { return apply(ctx, objects) }, nil},
			{"pulumi up", &up, func() error { return run(ctx, nil, "pulumi", "up", "--yes", "--skip-preview") }, func() error {
				return empty(ctx, objects)
			}},
			{"unchanged make up", &unchanged, func() error { return run(ctx, nil, "env", "--unset=KUBECONFIG", "make", "up") }, nil},
			{"kubectl diff", &diffed, func() error { return diff(ctx, objects) }, func() (err error) {
				objects, err = declared(ctx) // with the passwords of now
				return err
			}},
		} {
			if step.before != nil {
				if err := step.before(); err != nil {
					return err
				}
			}
			start := time.Now()
			if err := step.act(); err != nil {
				return err
			}
			took := time.Since(start).Seconds()
			fmt.Printf("%s: %.1f s\n", step.name, took)
			*step.took = append(*step.took, took)
		}
	}
	a, u := median(applied), median(up)
	fmt.Printf("\n| what | s | peer | s | ratio | should be |\n|---|---|---|---|---|---|\n")
	fmt.Printf("| pulumi up into an empty cluster | %.1f | kubectl apply --server-side and wait | %.1f | %.2f | at most 1.05, and 40 s |\n", u, a, u/a)
	fmt.Printf("| unchanged make up | %.1f | kubectl diff | %.1f | | at most 12 s |\n", median(unchanged), median(diffed))
	fmt.Printf("\nMedians of %d rounds.\n", rounds)
	return nil
}

// declared are the objects of the stack.
func declared(ctx context.Context) ([]unstructured.Unstructured, error) {
	resources, err := state.Read(ctx, ".")
	return state.Objects(resources), err
}

// empty removes the stack, and what it leaves for the next one: namespaces, with all claims and keys.
func empty(ctx context.Context, objects []unstructured.Unstructured) error {
	if err := run(ctx, nil, "pulumi", "destroy", "--yes", "--skip-preview"); err != nil {
		return err
	}
	return withObjects(ctx, objects, "delete", "--ignore-not-found", "--timeout=5m")
}

// apply applies objects, and waits for what an up waits for.
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
			_, err = kubectl(ctx, object.GetNamespace(), nil, "wait", "--for=jsonpath={.status.phase}=Bound", name, "--timeout=5m")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// diff looks for differences, which may be there: the API server fills in what the program leaves out.
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
	return run(ctx, list, "kubectl", append(args, "--filename=-")...)
}

func run(ctx context.Context, stdin []byte, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, out)
	}
	return nil
}
