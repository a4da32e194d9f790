package monitoring

import (
	"fmt"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	app         = "prometheus"
	statefulSet = "prometheus-ss"
	headless    = "prometheus-svc"
	configMap   = "prometheus-config"
	claim       = "data"

	port = 9090
	// prefix begins all paths, so that the page can share an ingress with the apps.
	prefix = "/prometheus"

	// prometheusUser is nobody in the official image.
	prometheusUser = 65534

	configDir = "/etc/prometheus"
	dataDir   = "/prometheus"
)

// Claim is the name of the claim of the Prometheus.
var Claim = kube.ClaimNames(claim, statefulSet, 1)[0]

// Prometheus describes the stack's own Prometheus. Only Ingress is optional.
type Prometheus struct {
	Namespace *kube.Namespace
	// Image is the official image prom/prometheus, 2.53 or newer.
	Image pulumi.StringInput
	// StorageClass and StorageSize (a Kubernetes quantity) are for the volume.
	StorageClass, StorageSize string
	// Memory is the limit, a Kubernetes quantity.
	Memory string
	// KeepDays is how long it remembers, if the volume is large enough.
	KeepDays int
	// Ingress shows its page to people; nil for none.
	Ingress *kube.Ingress
}

func (p *Prometheus) pods() kube.Pods {
	return kube.Pods{Namespace: p.Namespace, Labels: map[string]string{"app": app}}
}

// declare declares a server, which finds the metrics by DNS. It returns the URL at the ingress.
func (p *Prometheus) declare(ctx *pulumi.Context, name string, metrics []kube.Metrics,
	parent pulumi.ResourceOption) (url pulumi.StringOutput, err error) {
	files, err := p.files(metrics)
	if err != nil {
		return url, err
	}
	config, digest, err := kube.NewConfigMap(ctx, name+"-config", kube.ConfigMapArgs{
		Namespace: p.Namespace, App: app, Name: configMap, Files: files,
	}, parent)
	if err != nil {
		return url, err
	}
	err = kube.Allow(ctx, name+"-client", kube.Connection{
		From: kube.Pods{Namespace: p.Namespace, Labels: map[string]string{"prometheus-client": "true"}},
		To:   p.pods(), Port: port, Why: "may see all metrics, as its label says",
	}, parent)
	if err != nil {
		return url, err
	}
	svc, err := kube.HeadlessService{App: app, Name: headless, Pods: p.pods(), Port: port, PortName: "http"}.
		Declare(ctx, name+"-service", parent)
	if err != nil {
		return url, err
	}
	_, err = kube.StatefulSet{
		Namespace: p.Namespace,
		Name:      statefulSet,
		Service:   headless,
		Replicas:  1,
		Pod: kube.Pod{
			App: app, Labels: p.pods().Labels, FSGroup: prometheusUser,
			RestartOn: pulumi.StringMap{
				"stateful-k3s/prometheus-config": digest,
			},
			Spec: p.podSpec(),
		},
		Claim: kube.Claim(app, claim, p.StorageClass, p.StorageSize),
	}.Declare(ctx, name+"-statefulset", parent, pulumi.DependsOn([]pulumi.Resource{svc, config}))
	if err != nil {
		return url, err
	}
	return p.Ingress.Publish(ctx, name, kube.Site{
		App:     kube.WebApp{Namespace: p.Namespace, Name: app, Service: headless},
		Service: svc, Port: port, Paths: []string{prefix},
	}, parent)
}

func (p *Prometheus) podSpec() corev1.PodSpecArgs {
	const megabyte = 1 << 20
	storage, memory := resource.MustParse(p.StorageSize), resource.MustParse(p.Memory) // they were checked
	return corev1.PodSpecArgs{
		TerminationGracePeriodSeconds: pulumi.Int(60),
		Containers: corev1.ContainerArray{
			kube.Container(prometheusUser, kube.Resources{CPU: "20m", CPULimit: "1", Memory: p.Memory},
				corev1.ContainerArgs{
					Name:  pulumi.String(app),
					Image: p.Image,
					Args: pulumi.ToStringArray([]string{
						"--config.file=" + configDir + "/prometheus.yml",
						"--storage.tsdb.path=" + dataDir,
						fmt.Sprintf("--storage.tsdb.retention.time=%dd", p.KeepDays),
						// The rest of the volume is for the log of the last hours, and for compactions.
						fmt.Sprintf("--storage.tsdb.retention.size=%dMB", storage.Value()/megabyte*7/10),
						fmt.Sprintf("--web.listen-address=:%d", port),
						"--web.external-url=" + prefix,
					}),
					// The garbage collector keeps to it, rather than be killed.
					Env:            corev1.EnvVarArray{kube.Env("GOMEMLIMIT", fmt.Sprint(memory.Value()/10*9))},
					Ports:          corev1.ContainerPortArray{kube.ContainerPort("http", port)},
					StartupProbe:   kube.Within(10*time.Minute, kube.HTTPProbe(prefix+"/-/healthy", port)),
					LivenessProbe:  kube.HTTPProbe(prefix+"/-/healthy", port),
					ReadinessProbe: kube.HTTPProbe(prefix+"/-/ready", port),
					VolumeMounts: corev1.VolumeMountArray{
						kube.Mount(claim, dataDir), kube.ReadOnly("config", configDir),
					},
					TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
				}),
		},
		Volumes: corev1.VolumeArray{corev1.VolumeArgs{Name: pulumi.String("config"),
			ConfigMap: corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(configMap)}}},
	}
}

func (p *Prometheus) check() error {
	err := kube.Missing(map[string]bool{
		"Namespace": p.Namespace != nil, "Image": p.Image != nil, "StorageClass": p.StorageClass != "",
		"StorageSize": p.StorageSize != "", "Memory": p.Memory != "", "KeepDays": p.KeepDays > 0,
	})
	if err != nil {
		return err
	}
	for name, quantity := range map[string]string{"StorageSize": p.StorageSize, "Memory": p.Memory} {
		if _, err := resource.ParseQuantity(quantity); err != nil {
			return fmt.Errorf("reading %s %q: %w", name, quantity, err)
		}
	}
	return nil
}
