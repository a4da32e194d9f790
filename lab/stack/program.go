package stack

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/gobuild"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/subprocess"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// programFlags are Go's flags for the Pulumi program. It has no debug information, and Pulumi's packages,
// which take most of the compile time, are not optimised: it runs for seconds. The Makefile sets the same
// flags, so that tests share compiled packages.
const programFlags = "-gcflags=all=-dwarf=false '-gcflags=github.com/pulumi/...=-N -l -dwarf=false'"

// program is the path of the compiled program in the checkout, as in Pulumi.yaml.
const program = "bin/infra"

// HasProgram reports whether the Pulumi program was ever compiled. Pulumi compiles it when it changes.
func HasProgram(lab layout.Lab) bool {
	_, err := os.Stat(filepath.Join(lab.Checkout, program))
	return err == nil
}

// CompileProgram compiles the Pulumi program where Pulumi looks for it.
func CompileProgram(ctx context.Context, lab layout.Lab) error {
	slog.Info("compiling", "program", program)
	flags, err := goFlags(ctx)
	if err != nil {
		return err
	}
	// Go links the program here and renames it.
	temporary := lab.CheckoutDir()
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return err
	}
	start := time.Now()
	err = gobuild.Build{
		Name: program, Dir: lab.Checkout, Output: filepath.Join(lab.Checkout, program), Package: "./infra",
		Niceness: 10,
		Env:      append(os.Environ(), "GOFLAGS="+flags, "GOTMPDIR="+temporary, "GOGC=400"),
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("compiling the Pulumi program: %w", err)
	}
	slog.Info("compiled", "program", program, "took", time.Since(start).Round(time.Second))
	return nil
}

// goFlags adds programFlags to the user's flags, unless make has done so.
func goFlags(ctx context.Context) (string, error) {
	flags, err := subprocess.Output(exec.CommandContext(ctx, "go", "env", "GOFLAGS"))
	if err != nil {
		return "", fmt.Errorf("asking go for its flags: %w", err)
	}
	own := strings.TrimSpace(string(flags))
	if strings.Contains(own, "-gcflags") {
		return own, nil
	}
	return strings.TrimSpace(own + " " + programFlags), nil
}
