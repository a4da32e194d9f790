package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The types here have the parts of Kubernetes' objects that the lab reads.

type metadata struct {
	Namespace, Name   string
	Labels            map[string]string
	CreationTimestamp time.Time
	OwnerReferences   []ownerReference
}

type ownerReference struct{ Kind string }

type condition struct {
	Type, Status, Message string
	LastHeartbeatTime     time.Time
	LastTransitionTime    time.Time
}

type nodeList struct {
	Items []struct {
		Metadata metadata
		Spec     struct{ Unschedulable bool }
		Status   struct{ Conditions []condition }
	}
}

// checkReady fails unless the node has reported to be ready since then. A killed node stays ready in the API
// for a while.
func (l nodeList) checkReady(name string, since time.Time) error {
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

// isCordoned reports whether no new pods go to a node.
func (l nodeList) isCordoned(name string) bool {
	for _, node := range l.Items {
		if node.Metadata.Name == name && node.Spec.Unschedulable {
			return true
		}
	}
	return false
}

// pressures returns what a node runs out of, such as DiskPressure. Its pods are evicted then.
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
	Spec     struct{ NodeName string }
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

// job returns the name of the pod's Job, or "".
func (p pod) job() string { return p.Metadata.Labels["batch.kubernetes.io/job-name"] }

// condition returns a condition of the pod, or an empty one.
func (p pod) condition(kind string) condition {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return condition{}
}

// checkReady fails unless the deployment has a ready container that was started after its node.
func (l podList) checkReady(deployment string, starts map[string]time.Time) error {
	why := "no pod yet"
	for _, pod := range l.Items {
		if !strings.HasPrefix(pod.Metadata.Name, deployment+"-") {
			continue
		}
		why = "not started"
		since := starts[pod.Spec.NodeName]
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

type cronJobList struct {
	Items []struct {
		Metadata metadata
		Status   struct{ LastSuccessfulTime time.Time }
	}
}

type jobList struct{ Items []job }

type job struct {
	Metadata metadata
	Spec     struct{ Template struct{ Metadata metadata } }
	Status   struct{ Conditions []condition }
}

// kind takes the label of the pods. A Job itself has it only if a CronJob made it.
func (j job) kind() jobKind {
	return jobKind{j.Metadata.Namespace, j.Spec.Template.Metadata.Labels["app"]}
}

// end returns the condition Complete or Failed, or an empty one before the end.
func (j job) end() condition {
	for _, c := range j.Status.Conditions {
		if (c.Type == "Complete" || c.Type == "Failed") && c.Status == "True" {
			return c
		}
	}
	return condition{}
}

func (j job) ofCronJob() bool {
	return slices.Contains(j.Metadata.OwnerReferences, ownerReference{"CronJob"})
}
