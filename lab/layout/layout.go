// Package layout derives everything a lab has from the lab's name, so that
// labs never share anything and a name is all that has to be remembered.
package layout

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
)

// Root holds one directory for each lab of this machine.
const Root = "/var/lib/stateful-k3s"

// Default is the lab that is meant when none is named.
const Default = "dev"

// Interface names have at most 15 bytes (IFNAMSIZ in linux/if.h); "sk3s-" and "-0" take seven.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]{0,7}$`)

// Lab is a lab's identity.
type Lab struct {
	Name string
	// Cache holds what labs share: compiled tools and assembled images.
	Cache string
	// Checkout is the repository that the lab is used from.
	Checkout string
	// root is the parent of Dir.
	root string
}

// New names a lab of the checkout. It fails on a name that no interface could carry.
func New(name, cache, checkout string) (Lab, error) {
	if !namePattern.MatchString(name) {
		return Lab{}, fmt.Errorf("%q cannot name a lab: take 1 to 8 lower-case letters and digits, "+
			"a letter first, for example LAB=dev", name)
	}
	return Lab{Name: name, Cache: cache, Checkout: checkout, root: Root}, nil
}

// InHome is the lab without a cluster: what belongs to a cluster of the user's own is kept in the user's
// home.
func (l Lab) InHome() (Lab, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return Lab{}, fmt.Errorf("finding the home directory: %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	l.root = filepath.Join(state, "stateful-k3s")
	return l, nil
}

// DefaultCache is $XDG_CACHE_HOME/stateful-k3s or ~/.cache/stateful-k3s.
func DefaultCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(dir, "stateful-k3s"), nil
}

// Dir holds all that the lab keeps: images, volumes, logs and the Pulumi state.
func (l Lab) Dir(parts ...string) string {
	return filepath.Join(append([]string{l.root, l.Name}, parts...)...)
}

// CheckoutDir holds what a shell needs to use the lab from this checkout.
func (l Lab) CheckoutDir(parts ...string) string {
	return filepath.Join(append([]string{l.Checkout, ".lab", l.Name}, parts...)...)
}

// Prefix is that of all labs' IDs.
const Prefix = "sk3s-"

// ID prefixes whatever the lab has outside its directories: namespaces, interfaces, cgroups.
func (l Lab) ID() string { return Prefix + l.Name }

// Range has the networks of all labs. It is private (RFC 1918).
var Range = netip.MustParsePrefix("10.231.0.0/16")

// Subnet is one /24 of Range.
func (l Lab) Subnet() netip.Prefix {
	h := fnv.New32a()
	h.Write([]byte(l.Name)) // never fails
	a := Range.Addr().As4()
	a[2] = byte(h.Sum32())
	return netip.PrefixFrom(netip.AddrFrom4(a), 24)
}

func (l Lab) address(host byte) netip.Addr {
	a := l.Subnet().Addr().As4()
	a[3] = host
	return netip.AddrFrom4(a)
}

// HostAddress is the machine's own address on the lab's bridge.
func (l Lab) HostAddress() netip.Addr { return l.address(1) }

// Registry is the address of the lab's registry, the same for the machine and its nodes.
func (l Lab) Registry() string { return l.HostAddress().String() + ":5000" }

// RegistryCertificate is what the registry proves its address with. Nothing else is in its directory, so that
// programs can be told to trust all in there.
func (l Lab) RegistryCertificate() string { return l.Dir("trust", "registry.crt") }

// RegistryLogin is the login for the registry, in the form of Docker's own configuration.
func (l Lab) RegistryLogin() string { return l.Dir("registry-login.json") }

// IngressAddress is where Ingresses are served, on ports 80 and 443.
func (l Lab) IngressAddress() netip.Addr { return l.Nodes()[0].Address() }

// Builder holds what the builder of the app images keeps.
func (l Lab) Builder() string { return l.Dir("buildkit") }

// BuilderCache is what the builder of a deleted lab has kept, for the next new one. No lab has its name.
func (l Lab) BuilderCache() string { return filepath.Join(l.root, "builder-cache") }

// BuildkitSocket is where buildkitd listens.
func (l Lab) BuildkitSocket() string { return l.Dir("run", "buildkitd.sock") }

// Kubeconfig is the administrator's access to the cluster.
func (l Lab) Kubeconfig() string { return l.Dir("kubeconfig") }

// Nodes are the lab's machines; the first one runs the control plane.
func (l Lab) Nodes() []Node { return []Node{{lab: l, index: 0}} }

// Node is one machine of the cluster.
type Node struct {
	lab   Lab
	index int
}

// Name is the node's name in Kubernetes.
func (n Node) Name() string { return fmt.Sprintf("%s-%d", n.lab.Name, n.index) }

// ID names the node's network namespace, cgroup and host-side interface.
func (n Node) ID() string { return fmt.Sprintf("%s-%d", n.lab.ID(), n.index) }

// Address is the node's address on the lab's bridge.
func (n Node) Address() netip.Addr { return n.lab.address(byte(10 + n.index)) }

// Dir holds what the node keeps, its volumes among it.
func (n Node) Dir(parts ...string) string {
	return n.lab.Dir(append([]string{fmt.Sprintf("node-%d", n.index)}, parts...)...)
}
