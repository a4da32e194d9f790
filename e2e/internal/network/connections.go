package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
	"github.com/stateful-k3s/stateful-k3s/internal/connections"
	"github.com/stateful-k3s/stateful-k3s/internal/nsenter"
)

// Origin is where connections start: in a pod, or elsewhere.
type Origin struct {
	Name, Network string
	Pod           *corev1.Pod
}

// IsOurs tells whether the origin is a pod of the stack.
func (from Origin) IsOurs() bool { return from.Pod != nil && kube.IsOurs(*from.Pod) }

// Target is an address that answers. The pods behind it listen on the port.
type Target struct {
	Name     string
	Protocol corev1.Protocol
	Address  netip.AddrPort
	Pods     []corev1.Pod
	Port     int32
}

// IsIn tells whether a connection of the table leads from the origin to the target.
func (to Target) IsIn(c connections.Connection, from Origin) bool {
	leads := c.To.HasAddress(to.Address.Addr())
	for _, pod := range to.Pods {
		leads = leads || c.To.HasPod(pod.Namespace, pod.Labels)
	}
	return leads && from.Pod != nil && c.From.HasPod(from.Pod.Namespace, from.Pod.Labels) &&
		slices.Contains(c.Ports, connections.Port{Protocol: to.Protocol, Number: to.Port})
}

// IsGuarded tells whether the stack's policies are about the connection. A pod's connection to itself is not.
func (to Target) IsGuarded(from Origin) bool {
	if from.Pod == nil {
		return kube.IsOurs(to.Pods...)
	}
	itself := slices.ContainsFunc(to.Pods, func(pod corev1.Pod) bool { return pod.UID == from.Pod.UID })
	return !itself && (from.IsOurs() || kube.IsOurs(to.Pods...))
}

// Dial returns why there was no answer.
func (to Target) Dial(ctx context.Context, from Origin) error {
	if to.Protocol == corev1.ProtocolUDP {
		return askForName(ctx, from.Network, to.Address)
	}
	return Connects(ctx, from.Network, to.Address.String())
}

// askForName asks a name server over UDP. Any answer will do.
func askForName(ctx context.Context, network string, server netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resolver := net.Resolver{PreferGo: true,
		Dial: func(context.Context, string, string) (client net.Conn, err error) {
			return client, nsenter.Do(network, func() error {
				client, err = net.Dial("udp", server.String())
				return err
			})
		}}
	_, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	var notFound *net.DNSError
	if errors.As(err, &notFound) && notFound.IsNotFound {
		return nil
	}
	return err
}

// Origins returns all pods, and another machine.
func Origins(c *kube.Cluster, pods []corev1.Pod) []Origin {
	all := []Origin{{Name: "another machine", Network: OutsiderNetwork}}
	for _, pod := range pods {
		all = append(all, Origin{pod.Namespace + "/" + pod.Name, c.Network(&pod), &pod})
	}
	return all
}

// Targets returns everything that listens in pods and on the node, the Services, and other machines.
func Targets(c *kube.Cluster, pods []corev1.Pod) []Target {
	all := TargetsInCluster(c, pods)
	for _, port := range listeners(c, lab.NodeNetwork()) {
		all = append(all, target("the node", port.Protocol, lab.NodeAddress(), port.Number, port.Number))
	}
	for _, address := range elsewhere {
		for _, port := range outsiderPorts {
			all = append(all, target("another machine", port.Protocol, address, port.Number, port.Number))
		}
	}
	return all
}

func target(name string, protocol corev1.Protocol, address string, port, behind int32,
	pods ...corev1.Pod) Target {
	return Target{name, protocol, netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)), pods, behind}
}

// TargetsInCluster returns everything that listens in pods, and the Services.
func TargetsInCluster(c *kube.Cluster, pods []corev1.Pod) (all []Target) {
	add := func(name string, protocol corev1.Protocol, address string, port, behind int32, pods ...corev1.Pod) {
		all = append(all, target(name, protocol, address, port, behind, pods...))
	}
	for _, pod := range pods {
		for _, port := range listeners(c, c.Network(&pod)) {
			add(pod.Namespace+"/"+pod.Name, port.Protocol, pod.Status.PodIP, port.Number, port.Number, pod)
		}
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				if port.HostPort != 0 {
					add("host port of "+pod.Name, corev1.ProtocolTCP, pod.Status.HostIP, port.HostPort,
						port.ContainerPort, pod)
				}
			}
		}
	}
	services, err := c.CoreV1().Services("").List(c.T.Context(), metav1.ListOptions{})
	require.NoError(c.T, err)
	for _, service := range services.Items {
		if service.Spec.ClusterIP == corev1.ClusterIPNone {
			continue // it has its pods' addresses
		}
		behind := slices.DeleteFunc(slices.Clone(pods), func(pod corev1.Pod) bool { return !selects(service, pod) })
		for _, port := range service.Spec.Ports {
			add("service "+service.Name, port.Protocol, service.Spec.ClusterIP, port.Port, targetPort(port, behind),
				behind...)
		}
	}
	return all
}

func selects(service corev1.Service, pod corev1.Pod) bool {
	selector := connections.Peer{Namespace: service.Namespace, Labels: service.Spec.Selector}
	return len(service.Spec.Selector) > 0 && selector.HasPod(pod.Namespace, pod.Labels)
}

// targetPort is the port of the pods behind a Service's port.
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

// listeners returns the ports of a network namespace that others can reach, without loopback addresses.
func listeners(c *kube.Cluster, network string) (found []connections.Port) {
	for line := range strings.Lines(proc.Run(c.T, exec.Command("nsenter", "--net="+network,
		"ss", "--no-header", "--tcp", "--udp", "--listening", "--numeric"))) {
		fields := strings.Fields(line)
		host, text, err := net.SplitHostPort(fields[4])
		require.NoError(c.T, err, line)
		number, err := strconv.ParseInt(text, 10, 32)
		require.NoError(c.T, err, line)
		port := connections.Port{Protocol: corev1.Protocol(strings.ToUpper(fields[0])), Number: int32(number)}
		if !net.ParseIP(host).IsLoopback() && !slices.Contains(found, port) {
			found = append(found, port)
		}
	}
	return found
}

// Pair is a connection to try. Err is why there was no answer.
type Pair struct {
	From   Origin
	To     Target
	Wanted bool
	Err    error
}

func (p Pair) String() string {
	return fmt.Sprintf("%s to %s at %s/%s", p.From.Name, p.To.Name, p.To.Address, p.To.Protocol)
}

// Try tries connections, many at the same time, and those again that are not as wanted. Policies take in a
// new pod a moment after its start, and until then can take it for an earlier pod that had its address.
func Try(ctx context.Context, pairs []Pair) error {
	var dials errgroup.Group
	dials.SetLimit(64)
	for i := range pairs {
		dials.Go(func() error {
			p := &pairs[i]
			for range 30 {
				p.Err = p.To.Dial(ctx, p.From)
				if errors.Is(p.Err, os.ErrNotExist) {
					return p.Err // the origin has gone
				}
				if p.Wanted == (p.Err == nil) {
					break
				}
				time.Sleep(time.Second)
			}
			return ctx.Err()
		})
	}
	return dials.Wait()
}

// StartStandIns starts a pod for each peer in the tables that has none, such as Jobs and clients. It also
// starts one without labels in each namespace of the stack, and two in a namespace of no stack, without
// labels and with all labels that open something elsewhere. They are deleted with the test.
func StartStandIns(c *kube.Cluster, tables map[string][]connections.Connection) {
	played := c.Running()
	stranger := map[string]string{}
	wanted := []connections.Peer{{Namespace: metav1.NamespaceDefault},
		{Namespace: metav1.NamespaceDefault, Labels: stranger}}
	for namespace := range kube.PodCount {
		wanted = append(wanted, connections.Peer{Namespace: namespace})
	}
	for _, table := range tables {
		for _, connection := range table {
			from := connection.From
			if kube.PodCount[from.Namespace] == 0 || len(from.Labels) == 0 {
				continue
			}
			maps.Copy(stranger, from.Labels)
			if !slices.ContainsFunc(played,
				func(pod corev1.Pod) bool { return from.HasPod(pod.Namespace, pod.Labels) }) {
				wanted = append(wanted, from)
				played = append(played, *standIn(from))
			}
		}
	}
	var started []*corev1.Pod
	for _, peer := range wanted {
		pod, err := c.CoreV1().Pods(peer.Namespace).Create(c.T.Context(), standIn(peer), metav1.CreateOptions{})
		require.NoError(c.T, err)
		c.T.Cleanup(func() { c.In(pod.Namespace).ForceDelete(pod.Name) })
		started = append(started, pod)
	}
	for _, pod := range started {
		wait.Until(c.T, func() error {
			if now := c.In(pod.Namespace).Pod(pod.Name); !kube.IsReady(now) {
				return fmt.Errorf("the stand-in is not ready: %v", now.Status)
			}
			return nil
		})
	}
}

func standIn(peer connections.Peer) *corev1.Pod {
	labels := map[string]string{"batch.kubernetes.io/job-name": "e2e"} // it is no lasting pod
	maps.Copy(labels, peer.Labels)
	pod := kube.Visitor(labels, "exec sleep 600")
	pod.Namespace = peer.Namespace
	return pod
}
