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
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// programFlags are Go's flags for the Pulumi program. It has no debug information, and Pulumi's packages in
// it are not optimised: they take most of the time that it compiles, and it runs for seconds. The Makefile
// sets the same flags, so that tests share compiled packages with it.
const programFlags = "-gcflags=all=-dwarf=false '-gcflags=github.com/pulumi/...=-N -l -dwarf=false'"

// program is where Pulumi.yaml has the compiled program, in the checkout.
const program = "bin/infra"

// HasProgram says whether the Pulumi program has been compiled. Pulumi compiles it anew when it has changed
// since.
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
	// It is compiled beside where it stays, to get there as a whole.
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

// goFlags adds programFlags to the user's own flags, unless make has done so.
func goFlags(ctx context.Context) (string, error) {
	flags, err := exec.CommandContext(ctx, "go", "env", "GOFLAGS").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its flags: %w", err)
	}
	own := strings.TrimSpace(string(flags))
	if strings.Contains(own, "-gcflags") {
		return own, nil
	}
	return strings.TrimSpace(own + " " + programFlags), nil
}
