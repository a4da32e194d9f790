// Package layout derives a lab's directories, addresses and names from its name, so that labs share nothing.
// A lab has the nodes that have a directory.
package layout

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// Root holds one directory for each lab of this machine.
const Root = "/var/lib/stateful-k3s"

// Default is the name of the default lab.
const Default = "dev"

// Interface names have at most 15 bytes (IFNAMSIZ in linux/if.h); "sk3s-" and "-0" take seven.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9]{0,7}$`)

// Lab is a lab's identity.
type Lab struct {
	Name string
	// Cache has what labs share: tools and images.
	Cache string
	// Checkout is the repository that the lab is used from.
	Checkout string
	root     string // the parent of Dir
	nodes    int    // the number of nodes that it gets at least
}

// New returns a lab. It fails if the name does not fit into names of interfaces.
func New(name, cache, checkout string) (Lab, error) {
	if !namePattern.MatchString(name) {
		return Lab{}, fmt.Errorf("%q cannot name a lab: take 1 to 8 lower-case letters and digits, "+
			"a letter first, for example LAB=dev", name)
	}
	return Lab{Name: name, Cache: cache, Checkout: checkout, root: Root}, nil
}

// InHome returns the lab with its directory in the user's home, for the user's own cluster.
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

// DefaultCache returns $XDG_CACHE_HOME/stateful-k3s or ~/.cache/stateful-k3s.
func DefaultCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w", err)
	}
	return filepath.Join(dir, "stateful-k3s"), nil
}

// Dir returns a path in the lab's directory, which has its images, volumes, logs and Pulumi state.
func (l Lab) Dir(parts ...string) string {
	return filepath.Join(append([]string{l.root, l.Name}, parts...)...)
}

// CheckoutDir returns a path in the checkout's directory for the lab, which has what shells need.
func (l Lab) CheckoutDir(parts ...string) string {
	return filepath.Join(append([]string{l.Checkout, ".lab", l.Name}, parts...)...)
}

// Prefix starts every lab's ID.
const Prefix = "sk3s-"

// ID starts the names of the lab's namespaces, interfaces and cgroups.
func (l Lab) ID() string { return Prefix + l.Name }

// Range contains the networks of all labs. It is private (RFC 1918).
var Range = netip.MustParsePrefix("10.231.0.0/16")

// Subnet returns the lab's /24 of Range.
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

// HostAddress returns the machine's address on the lab's bridge.
func (l Lab) HostAddress() netip.Addr { return l.address(1) }

// Registry returns the address of the lab's registry.
func (l Lab) Registry() string { return l.HostAddress().String() + ":5000" }

// RegistryCertificate returns the path of the registry's certificate. Nothing else is in its directory, so
// that programs can trust the directory.
func (l Lab) RegistryCertificate() string { return l.Dir("trust", "registry.crt") }

// RegistryLogin returns the path of the login for the registry, in the format of Docker's configuration.
func (l Lab) RegistryLogin() string { return l.Dir("registry-login.json") }

// IngressAddress returns the address of Ingresses, on ports 80 and 443.
func (l Lab) IngressAddress() netip.Addr { return l.Nodes()[0].Address() }

// Builder returns the directory of the builder of the app images.
func (l Lab) Builder() string { return l.Dir("buildkit") }

// BuilderCache returns the directory that a deleted lab leaves to the next new one. No lab has this name.
func (l Lab) BuilderCache() string { return filepath.Join(l.root, "builder-cache") }

// BuildkitSocket returns the socket of buildkitd.
func (l Lab) BuildkitSocket() string { return l.Dir("run", "buildkitd.sock") }

// Kubeconfig returns the path of the administrator's kubeconfig.
func (l Lab) Kubeconfig() string { return l.Dir("kubeconfig") }

// MaxNodes is how many nodes a lab can have. The names of their interfaces have room for one digit.
const MaxNodes = 10

// Nodes returns the nodes of the cluster. The first one runs the control plane.
func (l Lab) Nodes() []Node {
	nodes := []Node{{lab: l}}
	for index := 1; index < MaxNodes; index++ {
		node := Node{lab: l, index: index}
		if _, err := os.Stat(node.Dir()); err != nil && index >= l.nodes {
			break
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// WithNodes returns the lab with so many nodes, or with as many as it has for 0. It fails if the lab has
// more.
func (l Lab) WithNodes(count int) (Lab, error) {
	if count == 0 {
		return l, nil
	}
	if count < 0 || count > MaxNodes {
		return Lab{}, fmt.Errorf("a lab cannot have %d nodes: take 1 to %d, for example NODES=3", count, MaxNodes)
	}
	if has := len(l.Nodes()); has > count {
		return Lab{}, fmt.Errorf("the lab %s has %d nodes already, and none is removed, because each may have "+
			"volumes: leave out NODES; make lab-delete LAB=%s deletes the whole lab", l.Name, has, l.Name)
	}
	l.nodes = count
	return l, nil
}

// Node returns a node by its number, such as "2".
func (l Lab) Node(number string) (Node, error) {
	nodes := l.Nodes()
	index, err := strconv.Atoi(number)
	if err != nil || index < 0 || index >= len(nodes) {
		return Node{}, fmt.Errorf("the lab %s has no node %q: take 0 to %d, for example NODE=%d", l.Name, number,
			len(nodes)-1, len(nodes)-1)
	}
	return nodes[index], nil
}

// Node is a node of the cluster.
type Node struct {
	lab   Lab
	index int
}

// Index counts the nodes of the lab from 0.
func (n Node) Index() int { return n.index }

// IsServer reports whether the node runs the control plane.
func (n Node) IsServer() bool { return n.index == 0 }

// Name returns the node's name in Kubernetes.
func (n Node) Name() string { return fmt.Sprintf("%s-%d", n.lab.Name, n.index) }

// ID returns the name of the node's network namespace, cgroup and interface on the machine.
func (n Node) ID() string { return fmt.Sprintf("%s-%d", n.lab.ID(), n.index) }

// Address returns the node's address on the lab's bridge.
func (n Node) Address() netip.Addr { return n.lab.address(byte(10 + n.index)) }

// Dir returns a path in the node's directory, which has its volumes.
func (n Node) Dir(parts ...string) string {
	return n.lab.Dir(append([]string{fmt.Sprintf("node-%d", n.index)}, parts...)...)
}
