package config

import (
	"cmp"
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

const versionsKey = "secretVersions"

// Groups of secrets, beside redis, storage, postgres, and the databases' names.
const (
	postgresPasswords    = "postgres-passwords"
	postgresCertificates = "postgres-certificates"
	storageKeys          = "storage-keys"
	storageCertificates  = "storage-certificates"
)

// generatedSecret is a secret that the program generates. Its owner is redis, storage or a database.
type generatedSecret struct {
	owner, name string
	// groups are names for this secret and others. The first one is of all secrets of its kind.
	groups []string
	// replacedBy are the settings in whose place it is generated.
	replacedBy []string
}

func (s generatedSecret) String() string { return s.owner + "-" + s.name }

// names are the names that the secret has in secretVersions.
func (s generatedSecret) names() []string { return append(slices.Clip(s.groups), s.String()) }

// generatedSecrets returns all generated secrets, sorted.
func generatedSecrets(databases []Database) []generatedSecret {
	secrets := []generatedSecret{
		{"redis", "password", []string{"redis"}, []string{"redisPassword"}},
		{"storage", "certificate", []string{storageCertificates, "storage"}, []string{"s3Endpoint"}},
	}
	for _, d := range databases {
		secrets = append(secrets, generatedSecret{"storage", d.Account(d.Namespace) + "-key",
			[]string{storageKeys, "storage"}, []string{"s3Endpoint"}})
		for _, name := range statefulset.Secrets {
			secret := generatedSecret{d.Name, name, []string{postgresPasswords, "postgres", d.Name}, nil}
			switch name {
			case "certificate":
				secret.groups[0] = postgresCertificates
			case "owner":
				secret.replacedBy = []string{"postgresPassword"}
			case "reader":
				secret.replacedBy = []string{"postgresReaderPassword"}
			}
			secrets = append(secrets, secret)
		}
	}
	slices.SortFunc(secrets, func(a, b generatedSecret) int { return strings.Compare(a.String(), b.String()) })
	return secrets
}

// secretsByName returns the secrets of each name and group.
func secretsByName(secrets []generatedSecret) map[string][]generatedSecret {
	all := map[string][]generatedSecret{}
	for _, secret := range secrets {
		for _, name := range secret.names() {
			all[name] = append(all[name], secret)
		}
	}
	return all
}

// parseVersions reads versions by name and group.
func parseVersions(text string, secrets []generatedSecret) (map[string]string, error) {
	given, err := pairs.Parse(text)
	if err != nil {
		return nil, err
	}
	known := slices.Sorted(maps.Keys(secretsByName(secrets)))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if given[name] == "" {
			return nil, fmt.Errorf("%s has no version", name)
		}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%q is no secret; there are %s", name, strings.Join(known, ", "))
		}
	}
	return given, nil
}

// versionOf joins the versions that the names of a secret have. The first one, of all of its kind, is 1 by
// default, as it has always been: another one would replace the secrets of stacks that run.
func versionOf(names []string, given map[string]string) string {
	version := cmp.Or(given[names[0]], kube.FirstVersion)
	for _, name := range names[1:] {
		version = strings.TrimSpace(version + " " + given[name])
	}
	return version
}

// versions reads the versions of the generated secrets, by the secrets' owner. It leaves out first versions.
func (r *reader) versions(databases []Database) map[string]kube.Versions {
	secrets := generatedSecrets(databases)
	given, _ := parseVersions(r.text(versionsKey, r.unlessUnsure(secretVersions(secrets)),
		`"postgres-passwords=2; storage-certificate=2"`), secrets)
	all := map[string]kube.Versions{}
	add := func(owner, name, version string) {
		if version == kube.FirstVersion {
			return
		}
		if all[owner] == nil {
			all[owner] = kube.Versions{}
		}
		all[owner][name] = version
	}
	for _, secret := range secrets {
		add(secret.owner, secret.name, versionOf(secret.names(), given))
		if secret.groups[0] == postgresPasswords {
			add(secret.owner, statefulset.Salt, versionOf(secret.groups, given))
		}
	}
	return all
}

// checkVersions refuses versions that are without effect, because other settings replace all their secrets.
func (r *reader) checkVersions(databases []Database) {
	secrets := generatedSecrets(databases)
	given, _ := parseVersions(r.read(versionsKey), secrets)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if key := r.replaces(secretsByName(secrets)[name]); key != "" {
			r.fault(versionsKey, "%s has a version, which is without effect since %s is set; leave it out; "+
				"for example: %s", name, key, rm(versionsKey))
		}
	}
}

// replaces returns a setting in whose place none of the secrets is generated, if each is replaced by one.
func (r *reader) replaces(secrets []generatedSecret) (key string) {
	for _, secret := range secrets {
		set := slices.IndexFunc(secret.replacedBy, func(key string) bool { return r.read(key) != "" })
		if set < 0 {
			return ""
		}
		key = secret.replacedBy[set]
	}
	return key
}
