// Package hugepages lends compilers huge pages. Page faults are dear on virtual machines: with huge pages,
// compiling takes a third less processor time.
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

// setting says for which memory the kernel uses huge pages: always, madvise or never, the current one in
// brackets. Source: https://docs.kernel.org/admin-guide/mm/transhuge.html
const setting = "/sys/kernel/mm/transparent_hugepage/enabled"

// Lend has the kernel use huge pages for all memory until release is called, or this process ends in whatever
// way. Without the right to do so, it only says what would be gained.
func Lend() (release func(), err error) { return lend(setting) }

func lend(setting string) (release func(), err error) {
	guard, err := startGuard(setting)
	if err != nil || guard == nil {
		return func() {}, err
	}
	return guard.end, nil
}

// Exec has another program take this process's place, with huge pages until it and all that it started have
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

// guard is a process that restores the setting when its input ends. That is when the last process that has
// input open ends, killed or not. The guard has a session of its own, so that nothing else ends it.
type guard struct {
	process *exec.Cmd
	input   *os.File
}

// startGuard turns huge pages on. It returns nil where there is nothing to do, or no right to do it.
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
