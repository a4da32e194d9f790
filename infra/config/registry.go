package config

import (
	"os"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
)

// registry falls back on $STATEFUL_K3S_REGISTRY for the path, and on the login that pushes for the one that
// pulls.
func (r *reader) registry() Registry {
	const key, example = "registry", "registry.example.com/team"
	path := r.text(key, optional(registryPath), example)
	if path == "" && !r.faulty(key) {
		path = os.Getenv(registryVariable)
		if path == "" {
			r.fault(key, "not set, and $%s is not either; for example: pulumi config set %s %s", registryVariable,
				key, example)
		} else if what := registryPath(path); what != "" {
			r.fault(key, "not set, and $%s, %q, is not %s; for example: pulumi config set %s %s", registryVariable,
				path, what, key, example)
		}
	}
	registry := Registry{
		Path: path,
		Push: r.login("registryUsername", "registryPassword"),
		Pull: r.login("pullUsername", "pullPassword"),
	}
	if registry.Push.Username != "" {
		registry.Auth = authn.FromConfig(authn.AuthConfig{Username: registry.Push.Username,
			Password: r.read("registryPassword")})
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
		Username: r.text(usernameKey, optional(username), "alice"),
		Password: r.secret(passwordKey, notEmpty, ""),
	}
	if r.faulty(usernameKey) || r.faulty(passwordKey) {
		return login
	}
	switch {
	case login.Username != "" && login.Password == nil:
		r.fault(passwordKey, "not set, though %s is; set it with: pulumi config set --secret %s", usernameKey,
			passwordKey)
	case login.Username == "" && login.Password != nil:
		r.fault(usernameKey, "not set, though %s is; for example: pulumi config set %s alice", passwordKey,
			usernameKey)
	}
	return login
}
