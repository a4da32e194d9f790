package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/pairs"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
)

// generated are the secrets that the program generates, by what they belong to.
var generated = map[string][]string{
	"redis":    {"password"},
	"pingpong": postgres.Secrets,
	"todo":     postgres.Secrets,
	"storage":  {"exercises-key", "project-key", "certificate"},
}

// versions are those of generated secrets, by what they belong to.
func (r *reader) versions(key, example string) map[string]kube.Versions {
	text := r.text(key, func(value string) string {
		if _, err := parseVersions(value); err != nil {
			return "a list of name=version with semicolons between them: " + err.Error()
		}
		return ""
	}, example)
	versions, _ := parseVersions(text)
	return versions
}

func parseVersions(text string) (map[string]kube.Versions, error) {
	given, err := pairs.Parse(text)
	if err != nil {
		return nil, err
	}
	versions := map[string]kube.Versions{}
	var names []string
	for owner, secrets := range generated {
		for _, secret := range secrets {
			name := owner + "-" + secret
			names = append(names, name)
			version, set := given[name]
			if !set {
				continue
			}
			if version == "" {
				return nil, fmt.Errorf("%s has no version", name)
			}
			if versions[owner] == nil {
				versions[owner] = kube.Versions{}
			}
			versions[owner][secret] = version
			delete(given, name)
		}
	}
	for _, unknown := range slices.Sorted(maps.Keys(given)) {
		return nil, fmt.Errorf("%q is no secret; there are %s", unknown,
			strings.Join(slices.Sorted(slices.Values(names)), ", "))
	}
	return versions, nil
}
