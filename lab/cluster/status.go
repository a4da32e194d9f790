package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// Status says what runs of a lab, where, and what is wrong with it.
type Status struct {
	// Lines are names and descriptions of what exists.
	Lines [][2]string
	// Faults keep the lab or a pod from working.
	Faults []string
}

func (s *Status) add(name, format string, args ...any) {
	s.Lines = append(s.Lines, [2]string{name, fmt.Sprintf(format, args...)})
}

func (s *Status) fault(format string, args ...any) {
	s.Faults = append(s.Faults, fmt.Sprintf(format, args...))
}

// GetStatus changes nothing. It reports whatever it cannot find out as a fault.
func GetStatus(ctx context.Context, lab layout.Lab) Status {
	var status Status
	if !exists(lab.Dir()) {
		status.add("lab", "%s does not exist", lab.Name)
		status.fault("there is no lab of this name: make lab-up LAB=%s makes one", lab.Name)
		return status
	}
	status.add("lab", "%s, in %s", lab.Name, lab.Dir())
	if down := status.addDaemons(lab); down > 0 {
		status.fault("%d of its daemons do not run: make lab-up LAB=%s starts them", down, lab.Name)
		return status
	}
	status.add("ingress", "http://%s", lab.IngressAddress())
	server := newServer(lab)
	if err := server.addStatus(ctx, &status); err != nil {
		status.fault("%v", err)
	}
	return status
}

// addDaemons returns how many daemons are down that the lab cannot do without. Agents and their ways out are
// faults, but no more.
func (s *Status) addDaemons(lab layout.Lab) (down int) {
	running := func(d daemon, where string) bool {
		pid, _ := find(d.Lab, d.Name)
		if pid == 0 {
			s.add(d.Name, "not running")
			return false
		}
		s.add(d.Name, "running at %s (process %d, log %s)", where, pid, d.Log)
		return true
	}
	if !running(service(lab, "buildkitd"), lab.BuildkitSocket()) {
		down++
	}
	if !running(service(lab, "registry"), lab.Registry()) {
		down++
	}
	for _, node := range lab.Nodes() {
		at := node.Address().String()
		if node.IsServer() {
			at = "https://" + apiAddress(lab)
		}
		out := running(outbound(lab, node), node.ID()+"'s "+tap)
		on := running(k3s{lab: lab, node: node}.daemon(), at)
		switch {
		case out && on:
		case node.IsServer():
			down++
		default:
			s.fault("node %s does not run: make lab-node-start LAB=%s NODE=%d starts it", node.Name(), lab.Name,
				node.Index())
		}
	}
	return down
}

func (s server) addStatus(ctx context.Context, status *Status) error {
	var nodes nodeList
	var pods podList
	var claims claimList
	var cronJobs cronJobList
	var jobs jobList
	err := errors.Join(
		s.get(ctx, &nodes, "nodes"),
		s.get(ctx, &pods, "pods", "--all-namespaces"),
		s.get(ctx, &claims, "persistentvolumeclaims", "--all-namespaces"),
		s.get(ctx, &cronJobs, "cronjobs", "--all-namespaces"),
		s.get(ctx, &jobs, "jobs", "--all-namespaces"),
	)
	if err != nil {
		return err
	}
	status.addNodes(s.lab.Nodes(), nodes, pods)
	status.addNamespaces(pods, claims)
	status.addJobs(cronJobs, jobs, pods, s.backups(ctx, pods), time.Now())
	s.addAlerts(ctx, status, pods)
	return nil
}

// addNodes shows nodes if there are several, with the pods that Kubernetes has given to them.
func (s *Status) addNodes(all []layout.Node, nodes nodeList, pods podList) {
	on := map[string]int{}
	for _, pod := range pods.Items {
		if pod.Status.Phase == "Running" {
			on[pod.Spec.NodeName]++
		}
	}
	for _, node := range all {
		state := "ready"
		if err := nodes.checkReady(node.Name(), time.Time{}); err != nil {
			state = "not ready"
			s.fault("%v", err)
		}
		if nodes.isCordoned(node.Name()) {
			state += ", cordoned: new pods go elsewhere"
		}
		if len(all) > 1 {
			s.add("node "+node.Name(), "%s, %d pods", state, on[node.Name()])
		}
		for _, pressure := range nodes.pressures(node.Name()) {
			s.fault("node %s has %s", node.Name(), pressure)
		}
	}
}

// addNamespaces counts pods and volumes. It leaves out pods that have ended: Kubernetes keeps an evicted pod
// beside the one that replaces it. It also leaves out pods of Jobs, unless they cannot start: addJobs reports
// how they end.
func (s *Status) addNamespaces(pods podList, claims claimList) {
	ready, all, volumes := map[string]int{}, map[string]int{}, map[string]int{}
	for _, claim := range claims.Items {
		namespace := claim.Metadata.Namespace
		all[namespace] += 0
		volumes[namespace]++
		if claim.Status.Phase != "Bound" {
			s.fault("%s/%s: the claim is %s", namespace, claim.Metadata.Name, claim.Status.Phase)
		}
	}
	for _, pod := range pods.Items {
		phase := pod.Status.Phase
		ended := phase == "Succeeded" || phase == "Failed"
		if ended || pod.job() != "" && (phase != "Pending" || pod.obstacle() == "") {
			continue
		}
		why := pod.notReady()
		namespace := pod.Metadata.Namespace
		all[namespace]++
		if why == "" {
			ready[namespace]++
		} else {
			s.fault("%s/%s: %s", namespace, pod.Metadata.Name, why)
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(all)) {
		s.add(namespace, "%d of %d pods ready, %d volumes", ready[namespace], all[namespace], volumes[namespace])
	}
}

// notReady says in the words of Kubernetes why a pod is not ready, or "" if it is.
func (p pod) notReady() string {
	ready := p.condition("Ready")
	if ready.Status == "True" {
		return ""
	}
	return cmp.Or(p.obstacle(), ready.Message, strings.ToLower(p.Status.Phase))
}

// obstacle says in the words of Kubernetes why a pod cannot start, or "" if nothing is in the way.
func (p pod) obstacle() string {
	for _, container := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		waiting := container.State.Waiting
		if waiting != nil && waiting.Reason != "PodInitializing" && waiting.Reason != "ContainerCreating" {
			return strings.TrimSpace(container.Name + " waits: " + waiting.Reason + " " + waiting.Message)
		}
	}
	if scheduled := p.condition("PodScheduled"); scheduled.Status == "False" {
		return scheduled.Message
	}
	return ""
}
