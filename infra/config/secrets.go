package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/pairs"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// newPassword is the example for settings that are passwords.
const newPassword = `"$(openssl rand -hex 16)"` // #nosec G101 -- a command

// passwords returns the password of a role of each database by the database's name. A database's own setting
// wins over the one for all. Databases with neither are left out.
func (r *reader) passwords(key string) map[string]pulumi.StringInput {
	shared := r.secret("postgres"+key, password, newPassword)
	passwords := map[string]pulumi.StringInput{}
	for _, database := range databases {
		if own := r.secret(database+"Postgres"+key, password, newPassword); own != nil {
			passwords[database] = own
		} else if shared != nil {
			passwords[database] = shared
		}
	}
	return passwords
}

// generatedSecrets are the secrets that the program generates, by their owner: redis, storage or a database.
var generatedSecrets = map[string][]string{
	"redis":    {"password"},
	"pingpong": statefulset.Secrets,
	"todo":     statefulset.Secrets,
	"storage":  {"exercises-key", "project-key", "certificate"},
}

// parseVersions reads versions of generated secrets, which it returns by the secrets' owner.
func parseVersions(text string) (map[string]kube.Versions, error) {
	given, err := pairs.Parse(text)
	if err != nil {
		return nil, err
	}
	versions := map[string]kube.Versions{}
	var names []string
	for owner, secrets := range generatedSecrets {
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
	if len(given) > 0 {
		return nil, fmt.Errorf("%q is no secret; there are %s", slices.Min(slices.Collect(maps.Keys(given))),
			strings.Join(slices.Sorted(slices.Values(names)), ", "))
	}
	return versions, nil
}
