package cluster

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// These are the parts of the API's objects that the lab looks at.

type metadata struct {
	Namespace, Name   string
	Labels            map[string]string
	CreationTimestamp time.Time
	OwnerReferences   []owner
}

type owner struct{ Kind string }

type condition struct {
	Type, Status, Message string
	LastHeartbeatTime     time.Time
	LastTransitionTime    time.Time
}

type nodeList struct {
	Items []struct {
		Metadata metadata
		Status   struct{ Conditions []condition }
	}
}

// ready fails unless the node is there and ready.
func (l nodeList) ready(name string) error {
	return l.readySince(name, time.Time{})
}

// readySince takes only what was said since then: a node that was killed stays ready in the API for a while.
func (l nodeList) readySince(name string, since time.Time) error {
	for _, node := range l.Items {
		for _, c := range node.Status.Conditions {
			if node.Metadata.Name == name && c.Type == "Ready" {
				if c.Status == "True" && !c.LastHeartbeatTime.Before(since.Truncate(time.Second)) {
					return nil
				}
				return fmt.Errorf("node %s is not ready: %s", name, c.Message)
			}
		}
	}
	return fmt.Errorf("node %s has not joined", name)
}

// pressures are what a node runs out of, for example DiskPressure; pods are evicted from it then.
func (l nodeList) pressures(name string) []string {
	var all []string
	for _, node := range l.Items {
		for _, c := range node.Status.Conditions {
			if node.Metadata.Name == name && strings.HasSuffix(c.Type, "Pressure") && c.Status == "True" {
				all = append(all, c.Type+": "+c.Message)
			}
		}
	}
	return all
}

type podList struct{ Items []pod }

type pod struct {
	Metadata metadata
	Status   struct {
		Phase                                    string
		Conditions                               []condition
		InitContainerStatuses, ContainerStatuses []containerStatus
	}
}

type containerStatus struct {
	Name  string
	Ready bool
	State struct {
		Running    *struct{ StartedAt time.Time }
		Waiting    *struct{ Reason, Message string }
		Terminated *terminated
	}
}

type terminated struct {
	ExitCode        int
	Reason, Message string
	FinishedAt      time.Time
}

// readySince takes only containers that were started since then.
func (l podList) readySince(since time.Time, deployments ...string) error {
	var errs []error
	for _, deployment := range deployments {
		errs = append(errs, l.deploymentReady(since, deployment))
	}
	return errors.Join(errs...)
}

func (l podList) deploymentReady(since time.Time, deployment string) error {
	why := "no pod yet"
	for _, pod := range l.Items {
		if !strings.HasPrefix(pod.Metadata.Name, deployment+"-") {
			continue
		}
		why = "not started"
		for _, container := range pod.Status.ContainerStatuses {
			running := container.State.Running
			if container.Ready && running != nil && !running.StartedAt.Before(since.Truncate(time.Second)) {
				return nil
			}
			if waiting := container.State.Waiting; waiting != nil {
				why = waiting.Reason + " " + waiting.Message
			}
		}
	}
	return fmt.Errorf("%s in kube-system is not ready: %s", deployment, why)
}

type claimList struct {
	Items []struct {
		Metadata metadata
		Status   struct{ Phase string }
	}
}
