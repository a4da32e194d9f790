// Package lab knows the lab that the tests run in: its files, its daemons, and its traces on this machine.
package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
)

const (
	// Checkout is the repository, seen from the tests of package e2e.
	Checkout = ".."
	// Root has a directory for each lab of the machine.
	Root = "/var/lib/stateful-k3s"
)

// Name is the lab's name, and the stack's.
func Name() string { return os.Getenv("STATEFUL_K3S_LAB") }

// Path is the path of a file in the lab's directory.
func Path(name string) string { return filepath.Join(Root, Name(), name) }

// NodeAddress is the address of the lab's first node, where people find the apps.
func NodeAddress() string { return os.Getenv("STATEFUL_K3S_INGRESS_ADDRESS") }

// Registry is the host:port of the lab's registry. The host is the address at which pods find this machine.
func Registry() string { return os.Getenv("STATEFUL_K3S_REGISTRY") }

// NodeNetwork is the network namespace of the lab's first node. Pods and Services can be reached from there.
func NodeNetwork() string { return NetworkOf(Name()) }

// NetworkOf is the network namespace of another lab's first node.
func NetworkOf(lab string) string { return "/run/netns/sk3s-" + lab + "-0" }

// Kubeconfig is the path of a lab's kubeconfig.
func Kubeconfig(lab string) string { return filepath.Join(Root, lab, "kubeconfig") }

// Make is a make command of a checkout, about a lab, with variables such as NODES=3.
func Make(checkout, target, lab string, variables ...string) *exec.Cmd {
	return proc.Command(checkout, "make", append([]string{target, "LAB=" + lab, "YES=1"}, variables...)...)
}

// Daemons returns the first processes of a lab's daemons, of those with the names if there are any.
func Daemons(lab string, names ...string) []int {
	return proc.Find(func(dir string) bool {
		environment := strings.Split(proc.Read(dir, "environ"), "\x00")
		isNamed := func(variable string) bool {
			name, is := strings.CutPrefix(variable, "STATEFUL_K3S_DAEMON=")
			return is && (len(names) == 0 || slices.Contains(names, name))
		}
		return slices.Contains(environment, "STATEFUL_K3S_LAB="+lab) && slices.ContainsFunc(environment, isNamed)
	})
}

// Owns tells whether a process of this machine belongs to the lab.
func Owns(dir string) bool { return strings.Contains(proc.Read(dir, "cgroup"), "sk3s-"+Name()+"/") }
