package kube

import (
	"cmp"
	"maps"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Pod describes the pods of an app.
type Pod struct {
	App    string
	Labels map[string]string
	// FSGroup owns the files of the volumes; 0 for pods without volumes.
	FSGroup int
	// MetricsPort is the port with metrics; 0 for none.
	MetricsPort int
	// RestartOn are annotations. The pods restart when one changes.
	RestartOn pulumi.StringMap
	Spec      corev1.PodSpecArgs
}

// Template returns the hardened template of the pods.
func (p Pod) Template(n *Namespace) corev1.PodTemplateSpecArgs {
	security := corev1.PodSecurityContextArgs{
		RunAsNonRoot:   pulumi.Bool(true),
		SeccompProfile: corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
	if p.FSGroup != 0 {
		security.FsGroup = pulumi.Int(p.FSGroup)
		// Otherwise every start makes all files writable for the group, and Postgres refuses such a data directory.
		security.FsGroupChangePolicy = pulumi.String("OnRootMismatch")
	}
	spec := p.Spec
	spec.SecurityContext = security
	spec.AutomountServiceAccountToken = pulumi.Bool(false)
	spec.EnableServiceLinks = pulumi.Bool(false)
	if n.login {
		spec.ImagePullSecrets = corev1.LocalObjectReferenceArray{
			corev1.LocalObjectReferenceArgs{Name: pulumi.String(loginSecret)},
		}
	}
	annotations := p.RestartOn
	if scrape := n.ScrapeAnnotations(p.MetricsPort); scrape != nil {
		annotations = pulumi.ToStringMap(scrape)
		maps.Copy(annotations, p.RestartOn)
	}
	return corev1.PodTemplateSpecArgs{
		Metadata: metav1.ObjectMetaArgs{Labels: commonLabels(p.App, p.Labels), Annotations: annotations},
		Spec:     spec,
	}
}

// Resources are Kubernetes quantities. Memory is both request and limit: a pod that used more than it
// requested would be the first to be evicted from a full node.
type Resources struct {
	// CPU is the request.
	CPU, CPULimit string
	Memory        string
	// Disk limits what the container writes into emptyDir volumes and its log; logLimit by default. A pod that
	// writes more is evicted.
	Disk string
}

const (
	logRequest = "64Mi"
	// logLimit has room for the log that a node keeps of a container: 50Mi by default, 250Mi on some clouds.
	logLimit = "512Mi"
)

// Container returns c hardened: it runs as the user and group id, and can write only to its volumes.
func Container(id int, r Resources, c corev1.ContainerArgs) corev1.ContainerArgs {
	c.SecurityContext = corev1.SecurityContextArgs{
		RunAsUser:                pulumi.Int(id),
		RunAsGroup:               pulumi.Int(id),
		RunAsNonRoot:             pulumi.Bool(true),
		AllowPrivilegeEscalation: pulumi.Bool(false),
		ReadOnlyRootFilesystem:   pulumi.Bool(true),
		Capabilities:             corev1.CapabilitiesArgs{Drop: pulumi.ToStringArray([]string{"ALL"})},
	}
	c.Resources = corev1.ResourceRequirementsArgs{
		Requests: pulumi.ToStringMap(map[string]string{"cpu": r.CPU, "memory": r.Memory,
			"ephemeral-storage": logRequest}),
		Limits: pulumi.ToStringMap(map[string]string{"cpu": r.CPULimit, "memory": r.Memory,
			"ephemeral-storage": cmp.Or(r.Disk, logLimit)}),
	}
	return c
}

// Claim returns the claim template of a StatefulSet, for a volume that one node mounts; size is a Kubernetes
// quantity. Any change of it replaces the StatefulSet, though not its claims, so it has no label that might
// change.
func Claim(app, name, storageClass, size string) corev1.PersistentVolumeClaimTypeArgs {
	return corev1.PersistentVolumeClaimTypeArgs{
		Metadata: metav1.ObjectMetaArgs{
			Name:   pulumi.String(name),
			Labels: pulumi.StringMap{"app.kubernetes.io/name": pulumi.String(app)},
		},
		Spec: corev1.PersistentVolumeClaimSpecArgs{
			AccessModes:      pulumi.ToStringArray([]string{"ReadWriteOnce"}),
			StorageClassName: pulumi.String(storageClass),
			Resources: corev1.VolumeResourceRequirementsArgs{
				Requests: pulumi.StringMap{"storage": pulumi.String(size)},
			},
		},
	}
}
