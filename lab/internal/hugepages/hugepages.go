// Package hugepages gives compilers huge pages. On virtual machines, where page faults are expensive,
// compiling takes a third less processor time with them.
package hugepages

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// setting chooses the memory for huge pages: always, madvise or never, the current one in brackets.
// Source: https://docs.kernel.org/admin-guide/mm/transhuge.html
const setting = "/sys/kernel/mm/transparent_hugepage/enabled"

// Lend turns on huge pages for all memory until release is called, or this process ends in any way. Without
// the permission it logs what would be gained.
func Lend() (release func(), err error) { return lend(setting) }

func lend(setting string) (release func(), err error) {
	guard, err := startGuard(setting)
	if err != nil || guard == nil {
		return func() {}, err
	}
	return guard.end, nil
}

// Exec replaces this process by another program. Huge pages are on until the program and its children have
// ended.
func Exec(args []string) error { return execute(setting, args) }

func execute(setting string, args []string) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	guard, err := startGuard(setting)
	if err != nil {
		return err
	}
	if guard != nil {
		if _, err := unix.FcntlInt(guard.input.Fd(), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("passing the guard's input on to %s: %w", path, err)
		}
	}
	return fmt.Errorf("running %s: %w", path, syscall.Exec(path, args, os.Environ()))
}

// guard is a process that restores the setting when its input ends: when the last process that has it open
// ends, killed or not. It has a session of its own, so nothing else ends it.
type guard struct {
	process *exec.Cmd
	input   *os.File
}

// startGuard turns on huge pages. It returns nil if there is nothing to do, or no permission.
func startGuard(setting string) (*guard, error) {
	content, err := os.ReadFile(setting)
	if errors.Is(err, fs.ErrNotExist) { // a kernel without huge pages
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's setting for huge pages: %w", err)
	}
	_, rest, _ := strings.Cut(string(content), "[")
	before, _, _ := strings.Cut(rest, "]")
	if before == "always" {
		return nil, nil
	}
	file, err := os.OpenFile(setting, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrPermission) {
		slog.Info("compiling would take a third less with huge pages", "command", "echo always | sudo tee "+setting)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the kernel's setting for huge pages: %w", err)
	}
	defer file.Close()

	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	g := &guard{exec.Command("sh", "-c", `cat >/dev/null; echo "$1" >"$2"`, "sh", before, setting), write}
	g.process.Stdin, g.process.SysProcAttr = read, &syscall.SysProcAttr{Setsid: true}
	if err := g.process.Start(); err != nil {
		return nil, fmt.Errorf("starting the process that restores the kernel's setting for huge pages: %w", err)
	}
	if _, err := file.WriteString("always"); err != nil {
		g.end()
		return nil, fmt.Errorf("turning on huge pages: %w", err)
	}
	return g, nil
}

func (g *guard) end() {
	_ = g.input.Close()
	if err := g.process.Wait(); err != nil {
		slog.Warn("the kernel's setting for huge pages was not restored", "error", err)
	}
}
