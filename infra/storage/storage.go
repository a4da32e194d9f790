// Package storage declares a pod with an S3 server. It gives other pods access to its bucket, or to an
// external one.
package storage

import (
	"cmp"
	"fmt"
	"time"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	app         = "storage"
	statefulSet = "storage-ss"
	service     = "storage-svc"
	secret      = "storage"
	claim       = "data"
	bucket      = "backups"
	region      = "us-east-1"

	port = 9000

	// Keys of the Secret, beside one of each account's name.
	certificateKey = "tls.crt"
	privateKey     = "tls.key"

	dataDir     = "/data"
	accountsDir = "/run/secrets/accounts"
	serverDir   = "/run/secrets/server"
)

// Claim is the name of the server's claim.
var Claim = kube.ClaimNames(claim, statefulSet, 1)[0]

// Args describes the server. Namespace, Image, Accounts and StorageClass are required.
type Args struct {
	Namespace *kube.Namespace
	Image     pulumi.StringInput
	// Accounts are names of 1 to 127 lower-case letters, digits, hyphens and underscores. Each account may use
	// the folder of its name in the bucket.
	Accounts []string
	// SecretVersions replace generated secrets: certificate, which gets a new authority too, and ACCOUNT-key.
	SecretVersions kube.Versions
	// StorageClass and StorageSize (a Kubernetes quantity, 5Gi by default) are for the volume.
	StorageClass, StorageSize string
	// Memory is the server's limit, a Kubernetes quantity, 128Mi by default.
	Memory string
}

// Storage is the component.
type Storage struct {
	pulumi.ResourceState
	server    *appsv1.StatefulSet
	pods      kube.Pods
	keys      map[string]pulumi.StringOutput // by account
	authority pulumi.StringOutput

	// Metrics are the server's.
	Metrics kube.Metrics
	// Endpoint is the server's URL inside the cluster.
	Endpoint pulumi.StringOutput `pulumi:"endpoint"`
}

// New declares the server with its Service, Secret and certificate.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Storage, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("storage %s: %w", name, err)
	}
	s := &Storage{
		pods: kube.Pods{Namespace: args.Namespace, Labels: map[string]string{"app": app}},
		keys: map[string]pulumi.StringOutput{},
	}
	inputs := pulumi.Map{"namespace": pulumi.String(args.Namespace.Name)}
	err := ctx.RegisterComponentResourceV2("stateful-k3s:storage:Storage", name, inputs, s, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring storage %s: %w", name, err)
	}
	if err := s.declare(ctx, name, args); err != nil {
		return nil, fmt.Errorf("storage %s: %w", name, err)
	}
	return s, nil
}

// Bucket returns the server's bucket with the keys of an account.
func (s *Storage) Bucket(account string) Bucket {
	return Bucket{
		Endpoint:    pulumi.String(endpoint(s.pods.Namespace)),
		Region:      pulumi.String(region),
		Name:        pulumi.String(bucket),
		PathStyle:   true,
		AccessKey:   pulumi.String(account),
		SecretKey:   s.keys[account],
		Authorities: s.authority,
		server:      s,
	}
}

func endpoint(ns *kube.Namespace) string {
	return fmt.Sprintf("https://%s.%s.svc:%d", service, ns.Name, port)
}

func (s *Storage) declare(ctx *pulumi.Context, name string, args Args) error {
	ns := args.Namespace
	parent := pulumi.Parent(s)

	certificate, err := kube.NewCertificate(ctx, name+"-certificate", kube.CertificateArgs{
		Names:   ns.DNSNames(service),
		Version: args.SecretVersions.Of("certificate"),
	}, parent)
	if err != nil {
		return err
	}
	s.authority = certificate.Authority
	data := map[string]pulumi.StringInput{certificateKey: certificate.Server, privateKey: certificate.Key}
	for _, account := range args.Accounts {
		key := account + "-key"
		s.keys[account], err = kube.NewPassword(ctx, name+"-"+key,
			kube.PasswordArgs{Version: args.SecretVersions.Of(key)}, parent)
		if err != nil {
			return err
		}
		data[account] = s.keys[account]
	}
	credentials, err := kube.NewSecret(ctx, name+"-secret",
		kube.SecretArgs{Namespace: ns, App: app, Name: secret, Data: data}, parent)
	if err != nil {
		return err
	}
	svc, err := kube.HeadlessService{
		App: app, Name: service, Pods: s.pods, Port: port, PortName: "https", NotReady: true,
	}.Declare(ctx, name+"-service", parent)
	if err != nil {
		return err
	}
	s.server, err = kube.StatefulSet{
		Namespace: ns,
		Name:      statefulSet,
		Service:   service,
		Replicas:  1,
		Pod: kube.Pod{
			App:     app,
			Labels:  s.pods.Labels,
			FSGroup: kube.AppUser,

			MetricsPort: kube.MetricsPort,
			// The server rereads secret keys by itself.
			RestartOn: pulumi.StringMap{
				"stateful-k3s/storage-certificate": kube.Digest(ns.Name+"/"+secret, certificate.Key),
			},
			Spec: podSpec(args),
		},
		Claim: kube.Claim(app, claim, args.StorageClass, args.StorageSize),
	}.Declare(ctx, name+"-statefulset", parent, pulumi.DependsOn([]pulumi.Resource{svc, credentials}))
	if err != nil {
		return err
	}
	s.Metrics = kube.Metrics{Job: app, Pods: s.pods, Port: kube.MetricsPort, Count: 1}
	s.Endpoint = pulumi.String(endpoint(ns)).ToStringOutput()
	return ctx.RegisterResourceOutputs(s, pulumi.Map{"endpoint": s.Endpoint})
}

func podSpec(args Args) corev1.PodSpecArgs {
	accounts := map[string]string{}
	for _, account := range args.Accounts {
		accounts[account] = account
	}
	return corev1.PodSpecArgs{
		Containers: corev1.ContainerArray{
			kube.Container(kube.AppUser, kube.Resources{CPU: "50m", CPULimit: "2", Memory: args.Memory},
				corev1.ContainerArgs{
					Name:  pulumi.String(app),
					Image: args.Image,
					Env: corev1.EnvVarArray{
						kube.Env("PORT", fmt.Sprint(port)),
						kube.Env("METRICS_PORT", fmt.Sprint(kube.MetricsPort)),
						kube.Env("DATA_DIR", dataDir),
						kube.Env("BUCKET", bucket),
						kube.Env("ACCOUNTS_DIR", accountsDir),
						kube.Env("CERT_FILE", serverDir+"/"+certificateKey),
						kube.Env("KEY_FILE", serverDir+"/"+privateKey),
					},
					Ports: corev1.ContainerPortArray{
						kube.ContainerPort("https", port), kube.ContainerPort(kube.MetricsPortName, kube.MetricsPort),
					},
					StartupProbe:   kube.Within(time.Minute, kube.HTTPSProbe("/livez", port)),
					LivenessProbe:  kube.HTTPSProbe("/livez", port),
					ReadinessProbe: kube.HTTPSProbe("/livez", port),
					VolumeMounts: corev1.VolumeMountArray{
						kube.Mount(claim, dataDir),
						kube.ReadOnly("accounts", accountsDir),
						kube.ReadOnly("server", serverDir),
					},
					TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
				}),
		},
		Volumes: corev1.VolumeArray{
			kube.SecretVolume("accounts", secret, 0o440, accounts),
			kube.SecretVolume("server", secret, 0o440,
				map[string]string{certificateKey: certificateKey, privateKey: privateKey}),
		},
	}
}

// check sets defaults.
func (a *Args) check() error {
	a.StorageSize, a.Memory = cmp.Or(a.StorageSize, "5Gi"), cmp.Or(a.Memory, "128Mi")
	return kube.Missing(map[string]bool{
		"Namespace": a.Namespace != nil, "Image": a.Image != nil, "Accounts": len(a.Accounts) > 0,
		"StorageClass": a.StorageClass != "",
	})
}
