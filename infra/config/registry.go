package config

import (
	"os"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
)

const registryKey = "registry"

// Published are images that another stack has built.
type Published struct{ Registry, Tag string }

// published returns nil if the stack builds its images. Otherwise it refuses the settings that are for
// building, unless a registry is set for images that are made from the user's own.
func (r *reader) published() *Published {
	const key, build = "images", "build"
	value := r.text(key, publishedImages(build), "registry.example.com/team@prod")
	if value == build || r.faulty(key) {
		return nil
	}
	for _, unused := range []string{"registryUsername", "registryPassword", "builder", "platforms"} {
		if r.read(registryKey) == "" && r.read(unused) != "" && !r.faulty(unused) {
			r.fault(unused, "set, though no image is built, since %s is %s and %s is not set; for example: %s", key,
				value, registryKey, rm(unused))
		}
	}
	path, tag, _ := strings.Cut(value, "@")
	return &Published{path, tag}
}

// publishedImages accepts one word, or the path of a registry and a tag.
func publishedImages(word string) check {
	tag := regexp.MustCompile(`^[\w][\w.-]{0,127}$`)
	return satisfies(word+", or a registry's host and path with @ and a tag", func(value string) bool {
		path, version, _ := strings.Cut(value, "@")
		return value == word || registryPath(path) == "" && tag.MatchString(version)
	})
}

// registry falls back on the published images' registry, or $STATEFUL_K3S_REGISTRY, for the path, and on the
// login that pushes for the one that pulls.
func (r *reader) registry(published *Published) Registry {
	const key, example = registryKey, "registry.example.com/team"
	path := r.text(key, optional(registryPath), example)
	builds := published == nil || path != ""
	switch {
	case path == "" && published != nil:
		path = published.Registry
	case path == "" && !r.faulty(key):
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
		Path: path, Builds: builds,
		Push: r.login("registryUsername", "registryPassword"),
		Pull: r.login("pullUsername", "pullPassword"),
	}
	asking, passwordKey := registry.Push.Username, "registryPassword"
	if !builds {
		asking, passwordKey = registry.Pull.Username, "pullPassword"
	}
	if asking != "" {
		registry.auth = authn.FromConfig(authn.AuthConfig{Username: asking, Password: r.read(passwordKey)})
	}
	if named, err := reference.ParseNamed(path + "/app"); err == nil {
		registry.Host = reference.Domain(named)
	}
	if registry.Pull.Username == "" {
		registry.Pull = registry.Push
	}
	return registry
}

// Auth is the login for asking about an image or a path; nil for the one of Docker's own configuration. It is
// for the Host alone.
func (r Registry) Auth(ref string) authn.Authenticator {
	if host, _, _ := strings.Cut(ref, "/"); host != r.Host {
		return nil
	}
	return r.auth
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
