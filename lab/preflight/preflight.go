// Package preflight checks whether this machine can run a lab, and installs missing packages.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// Package is a package of Debian and Ubuntu. It is installed if a file matches any of the patterns, which
// spaces separate.
type Package struct{ name, files string }

// ForTests lists the packages for the tests. redis-tools has the server, without starting it on the machine.
// Ubuntu has Chromium only as a snap; Google's package serves as well.
var ForTests = []Package{
	{"chromium", "/usr/bin/chromium /usr/bin/google-chrome"},
	{"npm", "/usr/bin/npm /usr/local/bin/npm"}, // downloads axe-core for tests
	{"redis-tools", "/usr/bin/redis-check-rdb"},
	{"postgresql", "/usr/lib/postgresql/*/bin/initdb"},
}

// clusterDefaults, if written first, keeps the package postgresql from creating a database and starting a
// server. Contract: pg_createcluster(1)
const clusterDefaults = "/etc/postgresql-common/createcluster.conf"

// ForLab lists the packages for a lab.
var ForLab = []Package{
	{"gcc", "/usr/bin/gcc"},
	{"libc6-dev", "/usr/include/stdio.h"},
	{"libseccomp-dev", "/usr/include/seccomp.h"},
	{"pkg-config", "/usr/bin/pkg-config"},
	{"ca-certificates", "/etc/ssl/certs/ca-certificates.crt"},
	{"iproute2", "/sbin/ip"},
	{"iptables", "/usr/sbin/iptables"},
	{"nftables", "/usr/sbin/nft"},
	{"slirp4netns", "/usr/bin/slirp4netns"},
	{"ipset", "/usr/sbin/ipset"},
	{"conntrack", "/usr/sbin/conntrack"},
	{"util-linux", "/usr/bin/nsenter"},
	{"mount", "/bin/mount"},
	{"containernetworking-plugins", "/usr/lib/cni/bridge"},
	{"busybox-static", "/bin/busybox"},
	{"mmdebstrap", "/usr/bin/mmdebstrap"},
	{"debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg"},
}

// Check returns one error that lists everything that is missing, and what to do about it.
func Check(ctx context.Context, need Space) error {
	var missing []error
	add := func(format string, args ...any) { missing = append(missing, fmt.Errorf(format, args...)) }

	if runtime.GOOS != "linux" {
		return fmt.Errorf("a lab runs on Linux, and this is %s: use a Linux machine or virtual machine, or set "+
			"KUBECONFIG to a cluster of your own", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		if _, err := exec.LookPath("sudo"); err != nil {
			add("a lab makes namespaces and mounts, which takes root: run it as root, or install sudo")
		}
	} else if err := checkCapabilities(capabilities()); err != nil {
		add("%w", err)
	}
	if names := Missing(ForLab); len(names) > 0 && !hasApt() {
		add("%w", errorWithoutApt(names))
	}
	for _, file := range []struct{ path, word, module string }{
		{"/proc/filesystems", "overlay", "overlay"},
		{"/proc/sys/net/bridge/bridge-nf-call-iptables", "", "br_netfilter"},
		{"/dev/net/tun", "", "tun"},
		{"/proc/self/ns/cgroup", "", ""},
	} {
		if hasFeature(file.path, file.word) {
			continue
		}
		if file.module == "" {
			add("the kernel has no cgroup namespaces (%s): use one from 4.6 on", file.path)
		} else if exec.CommandContext(ctx, "modprobe", file.module).Run() != nil ||
			!hasFeature(file.path, file.word) {
			add("the kernel lacks %[1]s: modprobe %[1]s", file.module)
		}
	}
	for _, controller := range []string{"cpu", "cpuset", "memory", "pids"} {
		if !hasController(controller) {
			add("the kernel's cgroup controller %q is off: boot with cgroup_enable=%s", controller, controller)
		}
	}
	missing = append(missing, need.check()...)
	return errors.Join(missing...)
}

// Missing returns the names of the packages that are not installed.
func Missing(packages []Package) []string {
	var names []string
	for _, p := range packages {
		if !slices.ContainsFunc(strings.Fields(p.files), exists) {
			names = append(names, p.name)
		}
	}
	return names
}

func exists(pattern string) bool {
	found, _ := filepath.Glob(pattern)
	return len(found) > 0
}

func errorWithoutApt(names []string) error {
	return fmt.Errorf("packages are missing (Debian's names): install what they are called here: %s",
		strings.Join(names, " "))
}

// Install installs the missing packages, on Debian and Ubuntu. It needs root.
func Install(ctx context.Context, packages []Package) error {
	names := Missing(packages)
	if len(names) == 0 {
		return nil
	}
	if !hasApt() {
		return errorWithoutApt(names)
	}
	slog.Info("installing packages", "names", strings.Join(names, " "))
	if slices.Contains(names, "postgresql") {
		if err := disableClusterCreation(clusterDefaults); err != nil {
			return fmt.Errorf("keeping postgresql from starting a server: %w", err)
		}
	}
	for _, lock := range aptLocks {
		if err := awaitLock(ctx, lock); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"dpkg", "--configure", "-a"}, // finishes an interrupted installation
		{"apt-get", "update", "--quiet=2"},
		append([]string{"apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends",
			"--option=Dpkg::Options::=--force-confold"}, names...),
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		end := progress.Start(strings.Join(args[:2], " "), nil)
		out, err := cmd.CombinedOutput()
		end()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	if still := Missing(packages); len(still) > 0 {
		return fmt.Errorf("apt-get installed %s, but their files are not where Debian puts them",
			strings.Join(still, " "))
	}
	return nil
}

// aptLocks are held while packages are installed. A machine that has just started often installs updates.
var aptLocks = []string{"/var/lib/apt/lists/lock", "/var/lib/dpkg/lock-frontend"}

// awaitLock waits until no process holds a lock.
func awaitLock(ctx context.Context, name string) error {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("opening the lock of apt: %w", err)
	}
	defer file.Close()
	for waited := false; ; waited = true {
		err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			return err
		}
		if !waited {
			slog.Info("waiting for another program that installs packages", "lock", name)
			defer progress.Start("waiting for another program that installs packages", nil)()
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fmt.Errorf("another program holds %s: %w", name, ctx.Err())
		}
	}
}

// disableClusterCreation writes the defaults file, unless it exists.
func disableClusterCreation(defaults string) error {
	if err := os.MkdirAll(filepath.Dir(defaults), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(defaults, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString("create_main_cluster = false\n")
	return errors.Join(err, file.Close())
}

func hasApt() bool {
	_, err := exec.LookPath("apt-get")
	return err == nil
}

func hasFeature(path, word string) bool {
	if word == "" {
		_, err := os.Stat(path)
		return err == nil
	}
	content, _ := os.ReadFile(path)
	return slices.Contains(strings.Fields(string(content)), word)
}

func hasController(name string) bool {
	if hasFeature("/sys/fs/cgroup/cgroup.controllers", name) {
		return true
	}
	groups, _ := os.ReadFile("/proc/self/cgroup")
	for _, line := range strings.Split(string(groups), "\n") {
		if parts := strings.SplitN(line, ":", 3); len(parts) == 3 &&
			slices.Contains(strings.Split(parts[1], ","), name) {
			return true
		}
	}
	return false
}
