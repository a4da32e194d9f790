// Package config reads the stack's settings. Pulumi.yaml declares them, with their defaults.
package config

import (
	"errors"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// Config holds the checked settings.
type Config struct {
	// NamePrefix precedes the namespaces' names.
	NamePrefix string
	// Cluster is how the program reaches the cluster.
	Cluster  cluster.Access
	Registry Registry
	// Published are images that the stack takes instead of building; nil for none.
	Published *Published
	// Platforms are what images are built for, such as linux/arm64; empty for the nodes' own.
	Platforms    []string
	Builder      string
	StorageClass string
	Redis        Redis
	Apps
	// Databases are in the order of their names.
	Databases []Database
	Storage   Storage
	// S3 is a bucket elsewhere for the backups; nil for the stack's own Storage.
	S3 *storage.Bucket
	// Ingress shows the apps to people; nil if nothing does.
	Ingress    *kube.Ingress
	DNSServers []kube.DNSServer
	// LogRequests makes the apps log a line for each request.
	LogRequests bool
	Monitoring  Monitoring
	// SecretVersions replace generated secrets, by the secrets' owner: redis, storage, or a database.
	SecretVersions map[string]kube.Versions
}

// Registry holds the stack's images, which the stack or others have built.
type Registry struct {
	// Host has the port too, if there is one. Path is the host and the path below it.
	Path, Host string
	// Builds says that the stack can push there.
	Builds bool
	// The program pushes with Push, and the cluster pulls with Pull.
	Push, Pull Login

	auth authn.Authenticator // for asking the Host; nil without a login
}

// Login is a registry's user, or empty if the registry wants none.
type Login struct {
	Username string
	Password pulumi.StringInput
}

// Redis holds the settings of the Redis pods. Memory and StorageSize are Kubernetes quantities.
type Redis struct {
	Image string
	// GoesBack allows to leave behind what was written since a move to a newer version.
	GoesBack    bool
	Password    pulumi.StringInput // nil if not set
	StorageSize string
	Memory      string
}

// Storage holds the settings of the storage server. Memory and Size are Kubernetes quantities.
type Storage struct {
	Size   string
	Memory string
}

const (
	registryVariable = "STATEFUL_K3S_REGISTRY"
	builderVariable  = "BUILDX_BUILDER"
)

// Load reads the stack's settings. Its error names every faulty or unknown setting.
func Load(ctx *pulumi.Context) (*Config, error) {
	r := newReader(ctx)
	cfg := &Config{
		NamePrefix:   r.text("namePrefix", optional(namePrefix), "alice-"),
		Cluster:      r.access(),
		Builder:      r.text("builder", optional(builderName), "mybuilder"),
		StorageClass: r.text("storageClass", storageClass, "local-path"),
		Redis: Redis{
			Image:       r.text("redisImage", image, "redis:8"),
			GoesBack:    r.boolean("redisGoBack", "true"),
			Password:    r.secret("redisPassword", password, newPassword),
			StorageSize: r.text("redisStorageSize", size("1Mi"), "100Mi"),
			Memory:      r.text("redisMemory", memory("16Mi"), "64Mi"),
		},
	}
	cfg.Apps = r.apps()
	databases := r.identities()
	cfg.SecretVersions = r.versions(databases)
	cfg.Databases = r.databases(databases, cfg.SecretVersions)
	r.refuseRemoved(cfg.NamePrefix, databases)
	cfg.Storage = Storage{
		Size:   r.text("storageSize", size("256Mi"), "5Gi"),
		Memory: r.text("storageMemory", memory("64Mi"), "128Mi"),
	}
	cfg.S3 = r.bucket()
	cfg.Ingress = r.ingress(cfg.NamePrefix)
	cfg.DNSServers = r.dnsServers("dnsServers", "kube-system/k8s-app=kube-dns")
	cfg.LogRequests = r.boolean("logRequests", "true")
	cfg.Monitoring = r.monitoring()
	if cfg.Builder == "" {
		cfg.Builder = os.Getenv(builderVariable)
	}
	cfg.Published = r.published()
	cfg.Platforms = strings.Fields(r.text("platforms", optional(platforms), `"linux/amd64 linux/arm64"`))
	cfg.Registry = r.registry(cfg.Published)
	r.checkConsistency(cfg)
	r.rejectUnknown()
	if err := errors.Join(r.faults...); err != nil {
		return nil, err
	}
	return cfg, nil
}
