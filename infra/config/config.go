// Package config reads the stack's settings. Pulumi.yaml declares them, with their defaults.
package config

import (
	"errors"
	"os"
	"strconv"

	"github.com/distribution/reference"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
)

// Config holds the settings, checked.
type Config struct {
	// NamePrefix goes in front of the namespaces' names.
	NamePrefix   string
	Registry     Registry
	Builder      string
	StorageClass string
	Redis        Redis
	Postgres     Postgres
	Pingpong     Pingpong
}

// Registry is where images are kept.
type Registry struct {
	// Path is the host with the path below which images are; Host is the host alone, with its port if it has one.
	Path, Host string
	// Push and Pull are the logins of program and cluster.
	Push, Pull Login
}

// Login is a registry's user. All is empty where the registry asks for none.
type Login struct {
	Username string
	Password pulumi.StringInput
}

// Redis holds the settings of the Redis pods. Memory and StorageSize are Kubernetes quantities.
type Redis struct {
	Image           string
	Password        pulumi.StringInput // nil if not set
	PasswordVersion string
	StorageSize     string
	Memory          string
}

// Postgres holds the settings of every Postgres server. Memory and StorageSize are Kubernetes quantities.
type Postgres struct {
	Image                    string
	Password, ReaderPassword pulumi.StringInput // nil if not set
	PasswordVersion          string
	TLSVersion               string
	StorageSize              string
	Memory                   string
	Parameters               postgres.Parameters
}

// Pingpong holds the settings of the pods that count pings.
type Pingpong struct {
	Replicas int
}

const (
	registryVariable = "STATEFUL_K3S_REGISTRY"
	builderVariable  = "BUILDX_BUILDER"
)

// Load reads the settings of the stack. Its error names every fault of every setting, and settings that do not exist.
func Load(ctx *pulumi.Context) (*Config, error) {
	r := &reader{ctx: ctx, known: map[string]bool{}}
	cfg := &Config{
		NamePrefix:   r.text("namePrefix", optional(namePrefix), "alice-"),
		Builder:      r.text("builder", optional(builderName), "mybuilder"),
		StorageClass: r.text("storageClass", storageClass, "local-path"),
		Redis: Redis{
			Image:           r.text("redisImage", image, "redis:8"),
			Password:        r.secret("redisPassword", password, `"$(openssl rand -hex 16)"`),
			PasswordVersion: r.text("redisPasswordVersion", notEmpty, "2"),
			StorageSize:     r.text("redisStorageSize", quantity("1Mi"), "100Mi"),
			Memory:          r.text("redisMemory", quantity("16Mi"), "64Mi"),
		},
		Postgres: Postgres{
			Image:           r.text("postgresImage", image, "postgres:17"),
			Password:        r.secret("postgresPassword", password, `"$(openssl rand -hex 16)"`),
			ReaderPassword:  r.secret("postgresReaderPassword", password, `"$(openssl rand -hex 16)"`),
			PasswordVersion: r.text("postgresPasswordVersion", notEmpty, "2"),
			TLSVersion:      r.text("postgresTLSVersion", notEmpty, "2"),
			StorageSize:     r.text("postgresStorageSize", quantity("256Mi"), "1Gi"),
			Memory:          r.text("postgresMemory", quantity("128Mi"), "512Mi"),
			Parameters:      r.parameters("postgresParameters", `"work_mem=8MB; log_min_duration_statement=250ms"`),
		},
	}
	cfg.Pingpong.Replicas, _ = strconv.Atoi(r.text("pingpongReplicas", replicas, "2"))
	if cfg.Builder == "" {
		cfg.Builder = os.Getenv(builderVariable)
	}
	cfg.Registry = r.registry()
	r.refuseUnknown()
	if err := errors.Join(r.faults...); err != nil {
		return nil, err
	}
	return cfg, nil
}

func (r *reader) parameters(key, example string) postgres.Parameters {
	text := r.text(key, func(value string) string {
		if _, err := postgres.ParseParameters(value); err != nil {
			return "a list of name=value with semicolons between them: " + err.Error()
		}
		return ""
	}, example)
	parameters, _ := postgres.ParseParameters(text)
	return parameters
}

func (r *reader) registry() Registry {
	const key, example = "registry", "registry.example.com/team"
	path := r.text(key, optional(registryPath), example)
	if path == "" && !r.faulty(key) {
		path = os.Getenv(registryVariable)
		if path == "" {
			r.fault(key, "not set, and $%s is not either; for example: pulumi config set %s %s", registryVariable, key, example)
		} else if what := registryPath(path); what != "" {
			r.fault(key, "not set, and $%s, %q, is not %s; for example: pulumi config set %s %s", registryVariable, path, what, key, example)
		}
	}
	registry := Registry{
		Path: path,
		Push: r.login("registryUsername", "registryPassword"),
		Pull: r.login("pullUsername", "pullPassword"),
	}
	if named, err := reference.ParseNamed(path + "/app"); err == nil {
		registry.Host = reference.Domain(named)
	}
	if registry.Pull.Username == "" {
		registry.Pull = registry.Push
	}
	return registry
}

func (r *reader) login(usernameKey, passwordKey string) Login {
	login := Login{
		Username: r.text(usernameKey, optional(notEmpty), "alice"),
		Password: r.secret(passwordKey, notEmpty, ""),
	}
	if r.faulty(usernameKey) || r.faulty(passwordKey) {
		return login
	}
	switch {
	case login.Username != "" && login.Password == nil:
		r.fault(passwordKey, "not set, though %s is; set it with: pulumi config set --secret %s", usernameKey, passwordKey)
	case login.Username == "" && login.Password != nil:
		r.fault(usernameKey, "not set, though %s is; for example: pulumi config set %s alice", passwordKey, usernameKey)
	}
	return login
}
