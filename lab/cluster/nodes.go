package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// starts has the times when nodes were started, by name. A node that ran already is not in it.
type starts struct {
	sync.Mutex
	at map[string]time.Time
}

// startNodes starts nodes that do not run, the server first, and waits until they and the add-ons are ready.
func (c Config) startNodes(ctx context.Context, access access, nodes ...layout.Node) error {
	started := starts{at: map[string]time.Time{}}
	server := server{c.k3s(access, c.Lab.Nodes()[0])}
	if nodes[0].IsServer() {
		if err := started.start(ctx, server.k3s); err != nil {
			return err
		}
		if err := server.awaitAPI(ctx); err != nil {
			return fmt.Errorf("waiting for k3s: %w", err)
		}
	}
	agents, agentsCtx := errgroup.WithContext(ctx)
	for _, node := range nodes {
		if !node.IsServer() {
			agents.Go(func() error { return started.start(agentsCtx, c.k3s(access, node)) })
		}
	}
	if err := agents.Wait(); err != nil {
		return err
	}
	if err := server.awaitReady(ctx, nodes, started.at); err != nil {
		return fmt.Errorf("waiting for k3s: %w", err)
	}
	for _, node := range nodes {
		slog.Info("k3s is ready", "node", node.Name(), "address", node.Address())
	}
	if err := server.spreadDNS(ctx); err != nil {
		return fmt.Errorf("giving the cluster a second name server: %w", err)
	}
	return os.Chown(c.Lab.Kubeconfig(), c.Owner.UID, c.Owner.GID)
}

func (c Config) k3s(access access, node layout.Node) k3s {
	return k3s{lab: c.Lab, access: access, node: node, binaries: c.Binaries, manifests: c.Manifests}
}

func (s *starts) start(ctx context.Context, k k3s) error {
	begin := time.Now()
	started, err := k.start(ctx)
	if err != nil {
		return fmt.Errorf("starting k3s: %w", err)
	}
	if started {
		s.Lock()
		defer s.Unlock()
		s.at[k.node.Name()] = begin
	}
	return nil
}

// spreadDNS gives a cluster of several nodes two name servers. k3s keeps them on different nodes, and keeps
// their number when it deploys its manifest again.
func (s server) spreadDNS(ctx context.Context) error {
	if len(s.lab.Nodes()) == 1 {
		return nil
	}
	_, err := s.kubectl(ctx, "--namespace", "kube-system", "scale", "deployment", "coredns", "--replicas", "2")
	return err
}

// StartNode starts a node of a lab that runs, unless it runs already, and waits until it is ready.
func StartNode(ctx context.Context, c Config, node layout.Node) error {
	if pid, _ := find(c.Lab.Name, "registry"); pid == 0 {
		return fmt.Errorf("the lab %[1]s does not run: make lab-up LAB=%[1]s starts it with all its nodes",
			c.Lab.Name)
	}
	access, err := newAccess(c.Lab, c.Owner)
	if err != nil {
		return err
	}
	return c.startNodes(ctx, access, node)
}

// StopNode stops a node as a power cut does: nothing that runs there can say goodbye, to the disk or to the
// network. What the kernel has not yet written is not lost, though.
func StopNode(ctx context.Context, lab layout.Lab, node layout.Node) error {
	if err := deleteLink(ctx, node.ID()); err != nil {
		return err
	}
	if err := (k3s{lab: lab, node: node}).daemon().kill(ctx); err != nil {
		return err
	}
	if err := outbound(lab, node).kill(ctx); err != nil {
		return err
	}
	if err := disconnectNode(ctx, node); err != nil {
		return err
	}
	slog.Info("stopped, as by a power cut", "node", node.Name())
	return nil
}
