package docs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// usualLab is the lab that documents are about.
const usualLab = "dev"

var (
	environment = regexp.MustCompile(`\.lab/env\b`)
	labFolder   = regexp.MustCompile(`(/var/lib/stateful-k3s/)` + usualLab + `\b`)
)

// Run runs the blocks of a document in one shell in a checkout, on a lab that takes the place of the usual
// one. It ends with the first command that fails. Each error names the block.
func (d Document) Run(ctx context.Context, checkout, lab string) error {
	dir, err := os.MkdirTemp("", "docs")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	failure := runScript(ctx, checkout, lab, d.script(dir, lab))

	var errs []error
	for i, block := range d.Blocks {
		if block.NotRun != "" {
			continue
		}
		printed, err := os.ReadFile(outputPath(dir, i))
		if err != nil {
			break // an earlier block has failed
		}
		last := !exists(outputPath(dir, d.next(i)))
		switch {
		case failure != nil && last:
			errs = append(errs, fmt.Errorf("%s:%d: %w, and it printed\n%s", d.Name, block.Line, failure,
				end(string(printed))))
		case block.ShowsOutput:
			if err := Compare(block.Output, asUsual(string(printed), lab)); err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: %w", d.Name, block.Line, err))
			}
		}
	}
	return errors.Join(errs...)
}

// script writes the output of each block to a file of its own.
func (d Document) script(dir, lab string) string {
	script := "set -euo pipefail\n"
	for i, block := range d.Blocks {
		if block.NotRun == "" {
			script += fmt.Sprintf("exec >'%s' 2>&1\n%s", outputPath(dir, i), onLab(block.Commands, lab))
		}
	}
	return script
}

// next is the index of the next block that is run, or the number of blocks.
func (d Document) next(i int) int {
	for i++; i < len(d.Blocks) && d.Blocks[i].NotRun != ""; i++ {
	}
	return i
}

func outputPath(dir string, i int) string { return filepath.Join(dir, fmt.Sprint(i)) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// ofTests matches variables that a reader's shell does not have: they lead to a lab, or tell make that
// another make has started it, which it then prints.
var ofTests = regexp.MustCompile(`^(KUBECONFIG|PULUMI_.*|MAKE.*|MFLAGS)=`)

// runScript starts in the environment of a new shell. Processes that the script leaves running, such as
// forwarded ports, end with it.
func runScript(ctx context.Context, checkout, lab, script string) error {
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = checkout
	for _, variable := range os.Environ() {
		if !ofTests.MatchString(variable) {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "LAB="+lab)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // there may be nothing left
	}
	return err
}

// onLab is a text with another lab in place of the usual one.
func onLab(text, lab string) string {
	text = environment.ReplaceAllString(text, ".lab/"+lab+"/env")
	return labFolder.ReplaceAllString(text, "${1}"+lab)
}

// asUsual is a text with the usual lab in place of another one.
func asUsual(text, lab string) string {
	return strings.NewReplacer(
		".lab/"+lab+"/env", ".lab/env",
		" LAB="+lab, "",
		"/var/lib/stateful-k3s/"+lab+"/", "/var/lib/stateful-k3s/"+usualLab+"/",
		"The stack "+lab+" ", "The stack "+usualLab+" ",
		lab+"-0", usualLab+"-0",
	).Replace(text)
}
