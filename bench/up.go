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

// measureUp compares `pulumi up` into an empty cluster with kubectl, which applies the same objects and waits
// for the same, and an unchanged `make up` with `kubectl diff`. The node has all images.
func measureUp(ctx context.Context, _ *cluster) error {
	var applied, up, unchanged, diffed []float64 // seconds
	timed := func(name string, all *[]float64, act func() error) error {
		start := time.Now()
		if err := act(); err != nil {
			return err
		}
		took := time.Since(start).Seconds()
		fmt.Printf("%s: %.1f s\n", name, took)
		*all = append(*all, took)
		return nil
	}
	for range rounds {
		objects, err := declared(ctx)
		if err != nil {
			return err
		}
		if err := empty(ctx, objects); err != nil {
			return err
		}
		if err := timed("kubectl apply", &applied, func() error { return apply(ctx, objects) }); err != nil {
			return err
		}
		if err := empty(ctx, objects); err != nil {
			return err
		}
		if err := timed("pulumi up", &up, command(ctx, "pulumi", "up", "--yes", "--skip-preview")); err != nil {
			return err
		}
		makeUp := command(ctx, "env", "--unset=KUBECONFIG", "make", "up")
		if err := timed("unchanged make up", &unchanged, makeUp); err != nil {
			return err
		}
		if objects, err = declared(ctx); err != nil { // with the passwords of now
			return err
		}
		if err := timed("kubectl diff", &diffed, func() error { return diff(ctx, objects) }); err != nil {
			return err
		}
	}
	a, u := median(applied), median(up)
	fmt.Printf("\n| what | s | peer | s | ratio | should be |\n|---|---|---|---|---|---|\n")
	fmt.Printf("| pulumi up into an empty cluster | %.1f | kubectl apply --server-side and wait | %.1f | %.2f | at most 1.05, and 40 s |\n", u, a, u/a)
	fmt.Printf("| unchanged make up | %.1f | kubectl diff | %.1f | | at most 12 s |\n", median(unchanged),
		median(diffed))
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
	if _, err := run(ctx, nil, "pulumi", "destroy", "--yes", "--skip-preview"); err != nil {
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
			_, err = kubectl(ctx, object.GetNamespace(), nil, "wait", "--for=jsonpath={.status.phase}=Bound", name,
				"--timeout=5m")
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
	_, err = run(ctx, list, "kubectl", append(args, "--filename=-")...)
	return err
}

// command is one that is run later.
func command(ctx context.Context, name string, args ...string) func() error {
	return func() error {
		_, err := run(ctx, nil, name, args...)
		return err
	}
}
