package kube

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// HTTPPort is the port of a web app's pods.
	HTTPPort = 8080
	// AppUser is the user id of the project's own images, and of nothing else.
	AppUser = 65532

	servicePort = 80

	// stopSeconds covers the 5 s that a stopping app still accepts requests, and 10 s for the last of them.
	stopSeconds = 30
)

// WebApp describes a Deployment of pods that serve HTTP, with their Service. The pods get their ports from
// $PORT and $METRICS_PORT.
type WebApp struct {
	Namespace *Namespace
	// Name is the name of the Deployment, and the pods' label app. Service is the name of the Service; "" for
	// none.
	Name, Service string
	Image         pulumi.StringInput
	Args          pulumi.StringArray
	Replicas      int
	// Memory is a Kubernetes quantity.
	Memory string
	// LivePath and ReadyPath answer probes; /livez and /readyz by default.
	LivePath, ReadyPath string

	Env     corev1.EnvVarArray
	Volumes corev1.VolumeArray
	Mounts  corev1.VolumeMountArray
	// RestartOn are annotations. The pods restart when one changes.
	RestartOn pulumi.StringMap
	// LogRequests makes the app log a line for each request.
	LogRequests bool
}

// Pods selects the app's pods.
func (w WebApp) Pods() Pods {
	return Pods{Namespace: w.Namespace, Labels: map[string]string{"app": w.Name}}
}

// Address is host:port of the Service inside the cluster.
func (w WebApp) Address() string {
	return fmt.Sprintf("%s.%s.svc:%d", w.Service, w.Namespace.Name, servicePort)
}

// Names returns the Service's DNS names inside the cluster.
func (w WebApp) Names() []string {
	return w.Namespace.DNSNames(w.Service)
}

// Declare declares the app, and returns its Service, if it has one. The Service waits until the pods are
// ready.
func (w WebApp) Declare(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*corev1.Service,
	error) {
	ready := w.Namespace.Ready()
	if err := declareBudget(ctx, name+"-budget", w.Name, w.Name, w.Pods(), opts...); err != nil {
		return nil, err
	}
	deployment, err := appsv1.NewDeployment(ctx, name+"-deployment", &appsv1.DeploymentArgs{
		Metadata: w.Namespace.Meta(w.Name, w.Name, nil),
		Spec: appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(w.Replicas),
			Selector: w.Pods().selector(),
			Strategy: appsv1.DeploymentStrategyArgs{
				Type:          pulumi.String("RollingUpdate"),
				RollingUpdate: appsv1.RollingUpdateDeploymentArgs{MaxUnavailable: pulumi.Int(0), MaxSurge: pulumi.Int(1)},
			},
			Template: Pod{App: w.Name, Labels: w.Pods().Labels, MetricsPort: MetricsPort,
				RestartOn: w.RestartOn, Spec: w.podSpec()}.Template(w.Namespace),
		},
	}, append(opts, ready)...)
	if err != nil {
		return nil, fmt.Errorf("declaring deployment %s: %w", w.Name, err)
	}
	if w.Service == "" {
		return nil, nil
	}
	// The pods are ready, and Pulumi would watch them for another 10 seconds.
	meta := w.Namespace.Meta(w.Name, w.Service, nil)
	Annotate(meta, skipAwaitAnnotation, "true")
	service, err := corev1.NewService(ctx, name+"-service", &corev1.ServiceArgs{
		Metadata: meta,
		Spec: corev1.ServiceSpecArgs{
			Selector: pulumi.ToStringMap(w.Pods().Labels),
			Ports: corev1.ServicePortArray{corev1.ServicePortArgs{
				Name: pulumi.String("http"), Port: pulumi.Int(servicePort), TargetPort: pulumi.String("http"),
			}},
		},
	}, append(opts, ready, pulumi.DependsOn([]pulumi.Resource{deployment}))...)
	if err != nil {
		return nil, fmt.Errorf("declaring service %s: %w", w.Service, err)
	}
	return service, nil
}

func (w WebApp) podSpec() corev1.PodSpecArgs {
	live, ready := cmp.Or(w.LivePath, "/livez"), cmp.Or(w.ReadyPath, "/readyz")
	env := w.Env
	if w.LogRequests {
		env = append(slices.Clone(env), Env("LOG_LEVEL", "debug"))
	}
	return corev1.PodSpecArgs{
		TerminationGracePeriodSeconds: pulumi.Int(stopSeconds),
		TopologySpreadConstraints:     w.Pods().spread(),
		Tolerations:                   leaveLostNodes(),
		Containers: corev1.ContainerArray{
			Container(AppUser, Resources{CPU: "50m", CPULimit: "2", Memory: w.Memory}, corev1.ContainerArgs{
				Name:  pulumi.String(w.Name),
				Image: w.Image,
				Args:  w.Args,
				Env: slices.Concat(env, corev1.EnvVarArray{
					Env("PORT", fmt.Sprint(HTTPPort)),
					Env("METRICS_PORT", fmt.Sprint(MetricsPort)),
				}),
				Ports: corev1.ContainerPortArray{
					ContainerPort("http", HTTPPort),
					ContainerPort(MetricsPortName, MetricsPort),
				},
				StartupProbe:   Within(time.Minute, HTTPProbe(live, HTTPPort)),
				LivenessProbe:  HTTPProbe(live, HTTPPort),
				ReadinessProbe: HTTPProbe(ready, HTTPPort),
				VolumeMounts:   w.Mounts,
			}),
		},
		Volumes: w.Volumes,
	}
}
