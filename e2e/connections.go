package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/connections"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
	"github.com/stateful-k3s/stateful-k3s/internal/nsenter"
)

// origin is where connections start: a pod, or no pod at all.
type origin struct {
	name, network string
	pod           *corev1.Pod
}

// target is an address that answers. Pods are those behind it, which listen on the port.
type target struct {
	name     string
	protocol corev1.Protocol
	address  netip.AddrPort
	pods     []corev1.Pod
	port     int32
}

// isOurs tells whether one of the pods is in a namespace of the stack.
func isOurs(pods ...corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return podCount[pod.Namespace] > 0 })
}

func (from origin) isOurs() bool { return from.pod != nil && isOurs(*from.pod) }

// isFor tells whether a connection of the table is one from there to here.
func (to target) isFor(from origin, c connections.Connection) bool {
	leads := c.To.HasAddress(to.address.Addr())
	for _, pod := range to.pods {
		leads = leads || c.To.HasPod(pod.Namespace, pod.Labels)
	}
	return leads && from.pod != nil && c.From.HasPod(from.pod.Namespace, from.pod.Labels) &&
		slices.Contains(c.Ports, connections.Port{Protocol: to.protocol, Number: to.port})
}

// isTried tells whether the connection is one that the stack's policies are about, and no pod's to itself.
func (to target) isTried(from origin) bool {
	if from.pod == nil {
		return isOurs(to.pods...)
	}
	itself := slices.ContainsFunc(to.pods, func(pod corev1.Pod) bool { return pod.UID == from.pod.UID })
	return !itself && (from.isOurs() || isOurs(to.pods...))
}

// dial returns why nobody answered.
func (to target) dial(ctx context.Context, from origin) error {
	if to.protocol == corev1.ProtocolUDP {
		return askForName(from.network, to.address)
	}
	connection, err := load.InNamespace(ctx, from.network, to.address.String())
	if err == nil {
		connection.Close()
	}
	return err
}

// askForName asks a name server over UDP and waits for any answer.
func askForName(network string, server netip.AddrPort) error {
	question := dnsmessage.Message{Questions: []dnsmessage.Question{{
		Name: dnsmessage.MustNewName("kubernetes.default.svc.cluster.local."), Type: dnsmessage.TypeA,
		Class: dnsmessage.ClassINET,
	}}}
	packet, err := question.Pack()
	if err != nil {
		return err
	}
	var connection net.Conn
	err = nsenter.Do(network, func() (err error) {
		connection, err = net.Dial("udp", server.String())
		return err
	})
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := connection.Write(packet); err != nil {
		return err
	}
	_, err = connection.Read(make([]byte, 512))
	return err
}

// running are the pods of all namespaces that run, without those of Jobs, which may end any time.
func (c *cluster) running() []corev1.Pod {
	c.t.Helper()
	pods, err := c.CoreV1().Pods("").List(c.t.Context(), metav1.ListOptions{
		FieldSelector: "status.phase=Running", LabelSelector: "!batch.kubernetes.io/controller-uid",
	})
	require.NoError(c.t, err)
	return pods.Items
}

// origins are all pods, and another machine.
func (c *cluster) origins(pods []corev1.Pod) []origin {
	c.t.Helper()
	all := []origin{{name: "another machine", network: outsiderNetwork()}}
	for _, pod := range pods {
		all = append(all, origin{pod.Namespace + "/" + pod.Name, networkOf(c.t, pod), &pod})
	}
	return all
}

// targets are what listens in the pods and on the node, the Services, and other machines.
func (c *cluster) targets(pods []corev1.Pod) []target {
	c.t.Helper()
	var all []target
	for _, pod := range pods {
		address := netip.MustParseAddr(pod.Status.PodIP)
		for _, port := range c.listeners(networkOf(c.t, pod)) {
			all = append(all, target{pod.Namespace + "/" + pod.Name, port.Protocol,
				netip.AddrPortFrom(address, uint16(port.Number)), []corev1.Pod{pod}, port.Number})
		}
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				if port.HostPort != 0 {
					address := netip.AddrPortFrom(netip.MustParseAddr(pod.Status.HostIP), uint16(port.HostPort))
					all = append(all, target{"host port of " + pod.Name, corev1.ProtocolTCP, address, []corev1.Pod{pod},
						port.ContainerPort})
				}
			}
		}
	}
	nodes, err := c.CoreV1().Nodes().List(c.t.Context(), metav1.ListOptions{})
	require.NoError(c.t, err)
	for _, port := range c.listeners(nodeNetwork()) {
		address := netip.MustParseAddr(nodes.Items[0].Status.Addresses[0].Address)
		all = append(all, target{"the node", port.Protocol, netip.AddrPortFrom(address, uint16(port.Number)), nil,
			port.Number})
	}
	services, err := c.CoreV1().Services("").List(c.t.Context(), metav1.ListOptions{})
	require.NoError(c.t, err)
	for _, service := range services.Items {
		address, err := netip.ParseAddr(service.Spec.ClusterIP)
		if err != nil {
			continue // it is headless: its addresses are those of its pods
		}
		behind := slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool { return !selects(service, pod) })
		for _, port := range service.Spec.Ports {
			all = append(all, target{"service " + service.Name, port.Protocol,
				netip.AddrPortFrom(address, uint16(port.Port)), behind, targetPort(port, behind)})
		}
	}
	for _, address := range elsewhere {
		for _, port := range outsiderPorts {
			all = append(all, target{"another machine", port.Protocol,
				netip.AddrPortFrom(address, uint16(port.Number)), nil, port.Number})
		}
	}
	return all
}

func selects(service corev1.Service, pod corev1.Pod) bool {
	selector := connections.Peer{Namespace: service.Namespace, Labels: service.Spec.Selector}
	return len(service.Spec.Selector) > 0 && selector.HasPod(pod.Namespace, pod.Labels)
}

// targetPort is the port of the pods behind a Service's.
func targetPort(port corev1.ServicePort, pods []corev1.Pod) int32 {
	for _, pod := range pods {
		for _, container := range pod.Spec.Containers {
			for _, named := range container.Ports {
				if named.Name == port.TargetPort.StrVal && named.Protocol == port.Protocol {
					return named.ContainerPort
				}
			}
		}
	}
	return port.TargetPort.IntVal
}

// listeners are the ports that others can reach in a network namespace, not those of loopback addresses.
func (c *cluster) listeners(network string) []connections.Port {
	c.t.Helper()
	var found []connections.Port
	for line := range strings.Lines(run(c.t,
		exec.Command("nsenter", "--net="+network, "ss", "--no-header", "--tcp", "--udp", "--listening",
			"--numeric"))) {
		fields := strings.Fields(line)
		host, text, err := net.SplitHostPort(fields[4])
		require.NoError(c.t, err, line)
		if net.ParseIP(host).IsLoopback() {
			continue
		}
		number, err := strconv.ParseInt(text, 10, 32)
		require.NoError(c.t, err, line)
		port := connections.Port{Protocol: corev1.Protocol(strings.ToUpper(fields[0])), Number: int32(number)}
		if !slices.Contains(found, port) {
			found = append(found, port)
		}
	}
	return found
}

// documented are the tables of docs/connections.md.
func (c *cluster) documented() map[string][]connections.Connection {
	c.t.Helper()
	document, err := os.ReadFile(filepath.Join(checkout, "docs/connections.md"))
	require.NoError(c.t, err)
	tables, err := connections.Parse(string(document))
	require.NoError(c.t, err)
	require.NotEmpty(c.t, tables["By default"])
	return tables
}

// attempts tries connections, many at once, and notes for each why it was not answered. One that is wanted is
// tried again: policies take in a new pod a moment after its start.
func (c *cluster) attempts(pairs []pair) error {
	var dials errgroup.Group
	dials.SetLimit(64)
	for i := range pairs {
		dials.Go(func() error {
			p := &pairs[i]
			for range 10 {
				p.err = p.to.dial(c.t.Context(), p.from)
				if errors.Is(p.err, os.ErrNotExist) {
					return p.err // the origin has gone
				}
				if p.err == nil || !p.wanted {
					break
				}
				time.Sleep(time.Second)
			}
			return c.t.Context().Err()
		})
	}
	return dials.Wait()
}

// pair is a connection to try. Err is why it was not answered.
type pair struct {
	from   origin
	to     target
	wanted bool
	err    error
}

func (p pair) String() string {
	return fmt.Sprintf("%s to %s at %s/%s", p.from.name, p.to.name, p.to.address, p.to.protocol)
}
