package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/stateful-k3s/stateful-k3s/lab/cluster"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/preflight"
)

// privileged returns the steps that need root, by the names of the hidden commands that run them.
func privileged() map[string]step {
	return map[string]step{
		"install-packages":      installPackages(preflight.ForLab),
		"install-test-packages": installPackages(preflight.ForTests),
		"assemble":              assembleBaseImages,
		"extract":               extractPostgres,
		"start":                 startCluster,
		"stop":                  cluster.Down,
		"erase":                 cluster.Delete,
		"show-status":           showStatus,
	}
}

// keptVariables are the environment variables that sudo passes on.
const keptVariables = "PATH,HOME,GOPATH,GOCACHE,GOMODCACHE,GOPROXY,GOTOOLCHAIN," +
	"HTTP_PROXY,HTTPS_PROXY,NO_PROXY,http_proxy,https_proxy,no_proxy," + postgresVariable

// asRoot runs a privileged step: in this process if it is root's, else with sudo.
func asRoot(name string) step {
	return func(ctx context.Context, lab layout.Lab) error {
		return withRoot(ctx, lab, func() error { return privileged()[name](ctx, lab) }, name)
	}
}

// withRoot calls run in this process if it is root's. Else it runs the hidden command with sudo.
func withRoot(ctx context.Context, lab layout.Lab, run func() error, command ...string) error {
	if os.Geteuid() == 0 {
		return run()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The user makes the directories that root writes into, or else they would be root's.
	for _, dir := range []string{"images", "locks"} {
		if err := os.MkdirAll(filepath.Join(lab.Cache, dir), 0o755); err != nil {
			return err
		}
	}
	args := slices.Concat([]string{"--preserve-env=" + keptVariables, self}, command, []string{
		"--name", lab.Name, "--cache", lab.Cache, "--checkout", lab.Checkout,
		"--nodes", strconv.Itoa(len(lab.Nodes())),
	})
	cmd := exec.CommandContext(ctx, "sudo", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	defer progress.Hold()() // sudo may ask for a password, and the command shows its own progress
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sudo lab %s: %w", command[0], err)
	}
	return nil
}

// owner returns the user who started the lab, perhaps through sudo.
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
