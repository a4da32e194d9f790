// Package redis declares pods with a Redis server and a redisfiller, which keeps its state there.
package redis

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	// StatefulSet runs the pods, and Container their servers.
	StatefulSet = "redis-stset"
	Container   = "redis"

	app     = "redis"
	service = "redis-svc"
	secret  = "redis"
	config  = "redis-config"
	claim   = "redis-data-storage"

	port       = 6379
	fillerPort = 8080
	// metricsPort is the usual one of redis_exporter.
	metricsPort = 9121

	// redisUser is the user of the official image.
	redisUser = 999

	secretDir    = "/run/secrets/redis"
	passwordFile = secretDir + "/password"
	configDir    = "/etc/redis"
	dataDir      = "/data"
)

// replicas is the number of pods by default.
const replicas = 2

// Claims are the names of the claims of the pods.
var Claims = kube.ClaimNames(claim, StatefulSet, replicas)

var (
	//go:embed redis.conf
	configTemplate string
	//go:embed start.sh
	start string
)

// Args describes the Redis pods. GoesBack, Password, SecretVersions and Replicas are optional.
type Args struct {
	Namespace *kube.Namespace
	// Image is the image of the Redis server. A new major version keeps a copy of the data before it begins.
	Image pulumi.StringInput
	// GoesBack lets an older version begin on the copy that was kept when its data moved to a newer one.
	GoesBack bool
	// FillerImage is the image of redisfiller. ExporterImage has redis_exporter.
	FillerImage, ExporterImage pulumi.StringInput
	// Replicas is the number of pods, 2 by default. Each has data of its own.
	Replicas int
	// Password is for every connection. Without it, one is generated.
	Password pulumi.StringInput
	// SecretVersions replace the generated secret, password.
	SecretVersions kube.Versions
	// StorageClass and StorageSize (a Kubernetes quantity) are for each pod's volume.
	StorageClass, StorageSize string
	// Memory is the limit of each server, a Kubernetes quantity. Half of it holds data. The rest is for
	// connections, and for the copy that rewriting the append-only file needs.
	Memory string
}

// Redis is the component.
type Redis struct {
	pulumi.ResourceState

	// Addresses are host:port of each pod inside the cluster.
	Addresses pulumi.StringArrayOutput `pulumi:"addresses"`
	// Metrics are the servers'.
	Metrics kube.Metrics
}

// New declares the Redis pods with their Service, Secret, configuration and network policies.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Redis, error) {
	conf, err := args.check()
	if err != nil {
		return nil, fmt.Errorf("redis %s: %w", name, err)
	}
	r := &Redis{}
	inputs := pulumi.Map{"namespace": pulumi.String(args.Namespace.Name)}
	if err := ctx.RegisterComponentResourceV2("stateful-k3s:redis:Redis", name, inputs, r, opts...); err != nil {
		return nil, fmt.Errorf("declaring redis %s: %w", name, err)
	}
	if err := r.declare(ctx, name, args, conf); err != nil {
		return nil, fmt.Errorf("redis %s: %w", name, err)
	}
	return r, nil
}

func (r *Redis) declare(ctx *pulumi.Context, name string, args Args, conf string) error {
	ns := args.Namespace
	parent := pulumi.Parent(r)

	password, err := kube.NewPassword(ctx, name+"-password", kube.PasswordArgs{
		Override: args.Password,
		Version:  args.SecretVersions.Of("password"),
	}, parent)
	if err != nil {
		return err
	}
	credentials, err := kube.NewSecret(ctx, name+"-secret", kube.SecretArgs{
		Namespace: ns,
		App:       app,
		Name:      secret,
		Data: map[string]pulumi.StringInput{
			"password":  password,
			"auth.conf": password.ApplyT(requirepass).(pulumi.StringOutput),
		},
	}, parent)
	if err != nil {
		return err
	}
	settings, digest, err := kube.NewConfigMap(ctx, name+"-config", kube.ConfigMapArgs{
		Namespace: ns, App: app, Name: config,
		Files: []kube.File{{Name: "redis.conf", Content: conf}, {Name: "start.sh", Content: start}},
	}, parent)
	if err != nil {
		return err
	}

	servers := kube.Pods{Namespace: ns, Labels: map[string]string{"app": "redisapp"}}
	err = kube.Allow(ctx, name+"-client", kube.Connection{
		From: kube.Pods{Namespace: ns, Labels: map[string]string{"redis-client": "true"}},
		To:   servers,
		Port: port,
		Why:  "may use Redis, as its label says",
	}, parent)
	if err != nil {
		return err
	}
	svc, err := kube.HeadlessService{
		App: app, Name: service, Labels: map[string]string{"app": "redis"}, Pods: servers, Port: port,
		PortName: "redis",
	}.Declare(ctx, name+"-service", parent)
	if err != nil {
		return err
	}

	_, err = kube.StatefulSet{
		Namespace: ns,
		Name:      StatefulSet,
		Service:   service,
		Replicas:  args.Replicas,
		Pod: kube.Pod{
			App:     app,
			Labels:  servers.Labels,
			FSGroup: redisUser,

			MetricsPort: metricsPort,
			RestartOn: pulumi.StringMap{
				"stateful-k3s/redis-config":   digest,
				"stateful-k3s/redis-password": kube.Digest(ns.Name+"/"+secret, password),
			},
			Spec: podSpec(args),
		},
		Claim: kube.Claim(app, claim, args.StorageClass, args.StorageSize),
	}.Declare(ctx, name+"-statefulset", parent, pulumi.DependsOn([]pulumi.Resource{svc, credentials, settings}))
	if err != nil {
		return err
	}

	r.Metrics = kube.Metrics{Job: app, Pods: servers, Port: metricsPort, Count: args.Replicas}
	addresses := make([]string, args.Replicas)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("%s-%d.%s.%s.svc:%d", StatefulSet, i, service, ns.Name, port)
	}
	r.Addresses = pulumi.ToStringArray(addresses).ToStringArrayOutput()
	return ctx.RegisterResourceOutputs(r, pulumi.Map{"addresses": r.Addresses})
}

func podSpec(args Args) corev1.PodSpecArgs {
	ping := kube.ExecProbe("sh", "-c", `[ "$(REDISCLI_AUTH=$(cat `+passwordFile+`) redis-cli ping)" = PONG ]`)
	credentials := kube.ReadOnly("secret", secretDir)
	filler := kube.Container(kube.AppUser, kube.Resources{CPU: "10m", CPULimit: "250m", Memory: "32Mi"},
		corev1.ContainerArgs{
			Name:  pulumi.String("redisfiller"),
			Image: args.FillerImage,
			Env: corev1.EnvVarArray{
				kube.Env("REDIS_ADDR", fmt.Sprintf("localhost:%d", port)),
				kube.Env("REDIS_PASSWORD_FILE", passwordFile),
				kube.Env("PORT", fmt.Sprint(fillerPort)),
			},
			Ports:          corev1.ContainerPortArray{kube.ContainerPort("http", fillerPort)},
			StartupProbe:   kube.Within(time.Minute, kube.HTTPProbe("/livez", fillerPort)),
			LivenessProbe:  kube.HTTPProbe("/livez", fillerPort),
			ReadinessProbe: kube.HTTPProbe("/readyz", fillerPort),
			VolumeMounts:   corev1.VolumeMountArray{credentials},
		})
	server := kube.Container(redisUser, kube.Resources{CPU: "50m", CPULimit: "500m", Memory: args.Memory},
		corev1.ContainerArgs{
			Name:  pulumi.String(Container),
			Image: args.Image,
			Command: pulumi.ToStringArray([]string{
				"sh", configDir + "/start.sh", dataDir + "/appendonlydir", "redis-server", configDir + "/redis.conf",
			}),
			Ports: corev1.ContainerPortArray{kube.ContainerPort("redis", port)},
			// Until a large append-only file is read, every command is answered with an error.
			StartupProbe:   kube.Within(10*time.Minute, ping),
			ReadinessProbe: ping,
			LivenessProbe:  kube.TCPProbe(port),
			VolumeMounts: corev1.VolumeMountArray{
				kube.Mount(claim, dataDir),
				kube.ReadOnly("config", configDir),
				credentials,
			},
		})
	if args.GoesBack {
		server.Env = corev1.EnvVarArray{kube.Env("GO_BACK", "true")}
	}
	return corev1.PodSpecArgs{
		Containers: corev1.ContainerArray{filler, server, exporterContainer(args)},
		Volumes: corev1.VolumeArray{
			corev1.VolumeArgs{Name: pulumi.String("config"),
				ConfigMap: corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(config)}},
			corev1.VolumeArgs{Name: pulumi.String("secret"), Secret: corev1.SecretVolumeSourceArgs{
				SecretName: pulumi.String(secret), DefaultMode: pulumi.Int(0o440),
			}},
		},
	}
}

func exporterContainer(args Args) corev1.ContainerArgs {
	resources := kube.Resources{CPU: "10m", CPULimit: "250m", Memory: "48Mi"}
	return kube.Container(kube.AppUser, resources, corev1.ContainerArgs{
		Name:  pulumi.String("exporter"),
		Image: args.ExporterImage,
		Env: corev1.EnvVarArray{
			kube.Env("REDIS_ADDR", fmt.Sprintf("localhost:%d", port)),
			kube.Env("REDIS_PASSWORD_FILE", passwordFile),
			kube.Env("DATA_DIR", dataDir),
		},
		Ports:         corev1.ContainerPortArray{kube.ContainerPort(kube.MetricsPortName, metricsPort)},
		StartupProbe:  kube.Within(time.Minute, kube.TCPProbe(metricsPort)),
		LivenessProbe: kube.TCPProbe(metricsPort),
		VolumeMounts:  corev1.VolumeMountArray{kube.ReadOnly("secret", secretDir), kube.ReadOnly(claim, dataDir)},
	})
}

// check sets defaults and returns the server's configuration.
func (a *Args) check() (string, error) {
	err := kube.Missing(map[string]bool{
		"Namespace": a.Namespace != nil, "Image": a.Image != nil, "FillerImage": a.FillerImage != nil,
		"ExporterImage": a.ExporterImage != nil,
		"StorageClass":  a.StorageClass != "", "StorageSize": a.StorageSize != "", "Memory": a.Memory != "",
	})
	if err != nil {
		return "", err
	}
	if a.Replicas == 0 {
		a.Replicas = replicas
	}
	memory, err := resource.ParseQuantity(a.Memory)
	if err != nil {
		return "", fmt.Errorf("reading Memory %q: %w", a.Memory, err)
	}
	return fmt.Sprintf(configTemplate, memory.Value()/2), nil
}

// requirepass returns the line of the configuration that sets the password. Redis reads \xHH in double quotes
// as a byte.
func requirepass(password string) string {
	var line strings.Builder
	line.WriteString(`requirepass "`)
	for _, b := range []byte(password) {
		fmt.Fprintf(&line, `\x%02x`, b)
	}
	line.WriteString("\"\n")
	return line.String()
}
