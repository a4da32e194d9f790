package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/pairs"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// newPassword is the example for settings that are passwords.
const newPassword = `"$(openssl rand -hex 16)"` // #nosec G101 -- a command

// generatedSecret is a secret that the program generates. Its owner is redis, storage or a database.
type generatedSecret struct {
	owner, name string
	// replacedBy are the settings in whose place it is generated.
	replacedBy []string
}

func (s generatedSecret) String() string { return s.owner + "-" + s.name }

// generatedSecrets returns all generated secrets, sorted.
func generatedSecrets(databases []Database) []generatedSecret {
	secrets := []generatedSecret{
		{"redis", "password", []string{"redisPassword"}},
		{"storage", "certificate", []string{"s3Endpoint"}},
	}
	for _, d := range databases {
		secrets = append(secrets,
			generatedSecret{"storage", d.Account(d.Namespace) + "-key", []string{"s3Endpoint"}})
		for _, name := range statefulset.Secrets {
			secret := generatedSecret{owner: d.Name, name: name}
			if key := map[string]string{"owner": "Password", "reader": "ReaderPassword"}[name]; key != "" {
				if d.BuiltIn {
					secret.replacedBy = append(secret.replacedBy, d.Name+"Postgres"+key)
				}
				secret.replacedBy = append(secret.replacedBy, "postgres"+key)
			}
			secrets = append(secrets, secret)
		}
	}
	slices.SortFunc(secrets, func(a, b generatedSecret) int { return strings.Compare(a.String(), b.String()) })
	return secrets
}

// parseVersions reads versions of generated secrets, which it returns by the secrets' owner.
func parseVersions(text string, secrets []generatedSecret) (map[string]kube.Versions, error) {
	given, err := pairs.Parse(text)
	if err != nil {
		return nil, err
	}
	versions := map[string]kube.Versions{}
	var names []string
	for _, secret := range secrets {
		names = append(names, secret.String())
		version, set := given[secret.String()]
		if !set {
			continue
		}
		if version == "" {
			return nil, fmt.Errorf("%s has no version", secret)
		}
		if versions[secret.owner] == nil {
			versions[secret.owner] = kube.Versions{}
		}
		versions[secret.owner][secret.name] = version
		delete(given, secret.String())
	}
	if len(given) > 0 {
		return versions, fmt.Errorf("%q is no secret; there are %s", slices.Min(slices.Collect(maps.Keys(given))),
			strings.Join(names, ", "))
	}
	return versions, nil
}

// versions reads the versions of the databases' secrets and the others.
func (r *reader) versions(databases []Database) map[string]kube.Versions {
	secrets := generatedSecrets(databases)
	versions, _ := parseVersions(r.text(versionsKey, r.unlessUnsure(secretVersions(secrets)),
		`"redis-password=2; storage-certificate=2"`), secrets)
	return versions
}

const versionsKey = "secretVersions"

// checkVersions refuses versions of secrets that are not generated, because another setting replaces them.
func (r *reader) checkVersions(cfg *Config) {
	for _, secret := range generatedSecrets(cfg.Databases) {
		if cfg.SecretVersions[secret.owner][secret.name] == "" {
			continue
		}
		set := slices.IndexFunc(secret.replacedBy, func(key string) bool { return r.read(key) != "" })
		if set >= 0 {
			r.fault(versionsKey, "%s has a version, which is without effect since %s is set; leave it out; "+
				"for example: %s", secret, secret.replacedBy[set], rm(versionsKey))
		}
	}
}
