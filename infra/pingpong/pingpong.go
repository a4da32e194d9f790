// Package pingpong runs the pods that count pings in a Postgres.
package pingpong

import (
	"fmt"
	"time"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
)

const (
	app     = "pingpong"
	service = "pingpong-svc"

	servicePort = 80
	httpPort    = 8080
	metricsPort = 9090

	// user is one that nothing else has.
	user = 65532

	// stopSeconds has room for the 5 s in which a stopping app goes on, and the 10 s that its last requests may take.
	stopSeconds = 30
)

// Args describes the pods. All but Replicas is required.
type Args struct {
	Namespace *kube.Namespace
	Image     pulumi.StringInput
	// Replicas is the number of pods, 2 by default. They share one count.
	Replicas int
	// Database keeps the count. It is in the same namespace.
	Database *postgres.Postgres
}

// Pingpong is the component. What depends on it waits until the pods are ready.
type Pingpong struct {
	pulumi.ResourceState

	// Address is host:port of the Service inside the cluster.
	Address pulumi.StringOutput `pulumi:"address"`
}

// New declares the pods and what they need.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Pingpong, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("pingpong %s: %w", name, err)
	}
	p := &Pingpong{}
	err := ctx.RegisterComponentResourceV2("stateful-k3s:pingpong:Pingpong", name, args.inputs(), p, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring pingpong %s: %w", name, err)
	}
	if err := p.declare(ctx, name, args); err != nil {
		return nil, fmt.Errorf("pingpong %s: %w", name, err)
	}
	return p, nil
}

func (p *Pingpong) declare(ctx *pulumi.Context, name string, args Args) error {
	ns := args.Namespace
	parent := pulumi.Parent(p)
	pods := kube.Pods{Namespace: ns, Labels: map[string]string{"app": app}}
	selector := metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(pods.Labels)}

	clients := kube.Pods{Namespace: ns, Labels: map[string]string{"pingpong-client": "true"}}
	if err := kube.Allow(ctx, name+"-client", kube.Connection{From: clients, To: pods, Port: httpPort}, parent); err != nil {
		return err
	}
	err := kube.Allow(ctx, name+"-database", kube.Connection{From: pods, To: args.Database.Pods, Port: postgres.Port}, parent)
	if err != nil {
		return err
	}
	_, err = policyv1.NewPodDisruptionBudget(ctx, name+"-budget", &policyv1.PodDisruptionBudgetArgs{
		Metadata: ns.Meta(app, app, nil),
		Spec:     policyv1.PodDisruptionBudgetSpecArgs{MaxUnavailable: pulumi.Int(1), Selector: selector},
	}, parent, ns.Ready())
	if err != nil {
		return fmt.Errorf("declaring pod disruption budget %s: %w", app, err)
	}

	deployment, err := appsv1.NewDeployment(ctx, name+"-deployment", &appsv1.DeploymentArgs{
		Metadata: ns.Meta(app, app, nil),
		Spec: appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(args.Replicas),
			Selector: selector,
			Strategy: appsv1.DeploymentStrategyArgs{
				Type:          pulumi.String("RollingUpdate"),
				RollingUpdate: appsv1.RollingUpdateDeploymentArgs{MaxUnavailable: pulumi.Int(0), MaxSurge: pulumi.Int(1)},
			},
			Template: kube.Pod{
				App:    app,
				Labels: pods.Labels,
				// The app reads a new address by itself, but the kubelet takes a minute to bring it.
				RestartOn: pulumi.StringMap{"stateful-k3s/postgres-client": args.Database.Owner.Digest},
				Spec:      podSpec(args, selector),
			}.Template(ns),
		},
	}, parent, ns.Ready(), pulumi.DependsOn([]pulumi.Resource{args.Database}))
	if err != nil {
		return fmt.Errorf("declaring deployment %s: %w", app, err)
	}

	// Pulumi waits until a Service has ready pods.
	_, err = corev1.NewService(ctx, name+"-service", &corev1.ServiceArgs{
		Metadata: ns.Meta(app, service, nil),
		Spec: corev1.ServiceSpecArgs{
			Selector: pulumi.ToStringMap(pods.Labels),
			Ports: corev1.ServicePortArray{corev1.ServicePortArgs{
				Name: pulumi.String("http"), Port: pulumi.Int(servicePort), TargetPort: pulumi.String("http"),
			}},
		},
	}, parent, ns.Ready(), pulumi.DependsOn([]pulumi.Resource{deployment}))
	if err != nil {
		return fmt.Errorf("declaring service %s: %w", service, err)
	}

	p.Address = pulumi.String(fmt.Sprintf("%s.%s.svc:%d", service, ns.Name, servicePort)).ToStringOutput()
	return ctx.RegisterResourceOutputs(p, pulumi.Map{"address": p.Address})
}

func podSpec(args Args, selector metav1.LabelSelectorArgs) corev1.PodSpecArgs {
	database := args.Database.Owner
	return corev1.PodSpecArgs{
		TerminationGracePeriodSeconds: pulumi.Int(stopSeconds),
		TopologySpreadConstraints: corev1.TopologySpreadConstraintArray{corev1.TopologySpreadConstraintArgs{
			TopologyKey:       pulumi.String("kubernetes.io/hostname"),
			MaxSkew:           pulumi.Int(1),
			WhenUnsatisfiable: pulumi.String("ScheduleAnyway"),
			LabelSelector:     selector,
		}},
		Containers: corev1.ContainerArray{
			kube.Container(user, kube.Resources{CPU: "50m", CPULimit: "2", Memory: "64Mi"}, corev1.ContainerArgs{
				Name:  pulumi.String(app),
				Image: args.Image,
				Env: corev1.EnvVarArray{
					database.Env,
					kube.Env("PORT", fmt.Sprint(httpPort)),
					kube.Env("METRICS_PORT", fmt.Sprint(metricsPort)),
				},
				Ports: corev1.ContainerPortArray{
					kube.ContainerPort("http", httpPort),
					kube.ContainerPort("metrics", metricsPort),
				},
				StartupProbe:   kube.Within(time.Minute, kube.HTTPProbe("/livez", httpPort)),
				LivenessProbe:  kube.HTTPProbe("/livez", httpPort),
				ReadinessProbe: kube.HTTPProbe("/readyz", httpPort),
				VolumeMounts:   corev1.VolumeMountArray{database.Mount},
			}),
		},
		Volumes: corev1.VolumeArray{database.Volume},
	}
}

// check sets defaults.
func (a *Args) check() error {
	if a.Replicas == 0 {
		a.Replicas = 2
	}
	return kube.Missing(map[string]bool{"Namespace": a.Namespace != nil, "Image": a.Image != nil, "Database": a.Database != nil})
}

func (a *Args) inputs() pulumi.Map {
	return pulumi.Map{
		"namespace": pulumi.String(a.Namespace.Name),
		"image":     a.Image,
		"replicas":  pulumi.Int(a.Replicas),
		"database":  a.Database.Address,
	}
}
