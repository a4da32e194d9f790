package config

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/pairs"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// removedVersions are settings that became groups of secretVersions.
var removedVersions = []struct{ key, group string }{
	{"redisPasswordVersion", "redis"},
	{"postgresPasswordVersion", postgresPasswords},
	{"postgresTLSVersion", postgresCertificates},
	{"storageKeysVersion", storageKeys},
	{"storageTLSVersion", storageCertificates},
}

// refuseRemoved says what to type instead of settings that others replaced. Nothing changes in a stack whose
// user types it.
func (r *reader) refuseRemoved(namePrefix string, databases []Database) {
	for _, d := range databases {
		if d.BuiltIn {
			r.refuseRestore(d)
			r.refusePasswords(namePrefix, d)
		}
	}
	r.refuseVersions(databases)
}

// removed returns the value of a setting that there is no more, if it is set and was not told already.
func (r *reader) removed(key string) (value string, set bool) {
	value, set = r.ctx.GetConfig(r.fullKey(key))
	return value, set && !r.faulty(key)
}

func (r *reader) refuseRestore(d Database) {
	key := d.Name + "RestoreFrom"
	value, set := r.removed(key)
	if !set {
		return
	}
	instead := rm(key)
	if value != "" && !r.sets(d, "restoreFrom") {
		instead = r.setField(d, "restoreFrom", quoted(redact(value))) + " && " + instead
	}
	r.fault(key, "replaced by restoreFrom of the database's entry in %s; type: %s", databasesKey, instead)
}

// refusePasswords puts the passwords of one database into a Secret, with the ones of all databases that it
// has too.
func (r *reader) refusePasswords(namePrefix string, d Database) {
	var faulty, literals, commands []string
	own := false
	for _, password := range []struct{ key, shared, inSecret string }{
		{d.Name + "PostgresPassword", "postgresPassword", "password"},
		{d.Name + "PostgresReaderPassword", "postgresReaderPassword", "reader-password"},
	} {
		key := password.key
		value, set := r.removed(key)
		if set {
			faulty, commands = append(faulty, key), append(commands, rm(key))
		}
		switch {
		case value != "":
			own = true
		case r.read(password.shared) != "":
			key = password.shared
		default:
			continue
		}
		literals = append(literals,
			fmt.Sprintf(`--from-literal=%s="$(pulumi config get %s)"`, password.inSecret, key))
	}
	if own && !r.sets(d, "existingSecret") {
		name := d.Name + "-passwords"
		commands = append([]string{
			fmt.Sprintf("kubectl -n %s create secret generic %s %s", namePrefix+d.Namespace, name,
				strings.Join(literals, " ")),
			r.setField(d, "existingSecret", name),
		}, commands...)
	}
	for _, key := range faulty {
		r.fault(key, "replaced by existingSecret of the database's entry in %s; type: %s", databasesKey,
			strings.Join(commands, " && "))
	}
}

// refuseVersions tells the same commands for each key.
func (r *reader) refuseVersions(databases []Database) {
	given, _ := pairs.Parse(r.read(versionsKey))
	secrets := secretsByName(generatedSecrets(databases))
	var faulty, commands, moved []string
	for _, removed := range removedVersions {
		value, set := r.removed(removed.key)
		if !set {
			continue
		}
		faulty, commands = append(faulty, removed.key), append(commands, rm(removed.key))
		if value != kube.FirstVersion && given[removed.group] == "" && r.replaces(secrets[removed.group]) == "" {
			moved = append(moved, removed.group+"="+value)
		}
	}
	if len(moved) > 0 {
		versions := strings.Join(moved, "; ")
		if kept := strings.TrimRight(r.read(versionsKey), "; "); kept != "" {
			versions = kept + "; " + versions
		}
		commands = append([]string{set(versionsKey, quoted(versions))}, commands...)
	}
	for _, key := range faulty {
		r.fault(key, "replaced by %s; type: %s", versionsKey, strings.Join(commands, " && "))
	}
}

// quoted returns a value as shells take it.
func quoted(value string) string {
	if regexp.MustCompile(`^[\w.:/+-]+$`).MatchString(value) {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}
