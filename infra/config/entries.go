package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// databasesKey is the setting that is a list of entries: Pulumi's structured configuration, which the SDK
// returns as JSON.
const databasesKey = "databases"

// Field is a field of an entry of databases.
type Field struct {
	Name string
	// Shared is the setting of all databases, which counts where an entry leaves the field out; empty for none.
	Shared string
	// Description is for fields without a Shared that means the same.
	Description string
}

// Fields are all fields of an entry, in the order of the documents.
var Fields = []Field{
	{Name: "name", Description: "Name of the database, at most 30 small letters, digits and hyphens; required"},
	{Name: "namespace", Description: "Namespace of its server and backups; required, except for built-in ones"},
	{Name: "engine", Shared: "engine"},
	{Name: "instances", Shared: "instances"},
	{Name: "image", Shared: "postgresImage"},
	{Name: "storageClass", Shared: "storageClass", Description: "Storage class of the server's volume"},
	{Name: "storageSize", Shared: "postgresStorageSize"},
	{Name: "memory", Shared: "postgresMemory"},
	{Name: "parameters", Shared: "postgresParameters"},
	{Name: "extensions", Description: "Extensions that are created in it, such as `hstore pg_trgm`, with " +
		"spaces between them; the image has to have them"},
	{Name: "existingSecret", Description: "Secret in its namespace with the owner's `password`, the backups' " +
		"`reader-password`, or both; each `pulumi up` reads it. Other passwords are generated"},
	{Name: "clients", Description: "Pods that may connect, as `NAMESPACE/LABEL=VALUE` with spaces between " +
		"them; without it, pods of its namespace with the label `postgres-client=true`"},
	{Name: "restoreFrom", Shared: "restoreFrom"},
	{Name: "restoreOver", Shared: "restoreOver",
		Description: "Whether the database's content is backed up and then replaced by a restore"},
	{Name: "schedule", Shared: "backupSchedule"},
	{Name: "timeZone", Shared: "backupTimeZone"},
	{Name: "keepDaily", Shared: "backupKeepDaily"},
	{Name: "keepWeekly", Shared: "backupKeepWeekly"},
	{Name: "keepMonthly", Shared: "backupKeepMonthly"},
	{Name: "scratchSize", Shared: "backupScratchSize"},
	{Name: "backupMemory", Shared: "backupMemory"},
	{Name: "compression", Shared: "backupCompression"},
	{Name: "backupTimeout", Shared: "backupTimeout"},
	{Name: "archive", Shared: "archive"},
	{Name: "archiveTimeout", Shared: "archiveTimeout"},
	{Name: "archiveKeepDays", Shared: "archiveKeepDays"},
}

// key returns the key of a database's setting: its entry's, or else the one of all databases.
func (r *reader) key(d Database, field string) string {
	if r.sets(d, field) {
		return d.field(field)
	}
	return Fields[slices.IndexFunc(Fields, func(f Field) bool { return f.Name == field })].Shared
}

// sets reports whether the database's entry has the field.
func (r *reader) sets(d Database, field string) bool {
	_, set := r.entries[d.field(field)]
	return set
}

// setField returns the commands that set a field of a database, which may have no entry yet.
func (r *reader) setField(d Database, field, value string) string {
	if d.entry != "" {
		return set(d.field(field), value)
	}
	if r.free[d.Name] == "" {
		r.free[d.Name] = fmt.Sprintf("%s[%d]", databasesKey, r.elements+len(r.free))
	}
	d.entry = r.free[d.Name]
	return set(d.field("name"), d.Name) + " && " + set(d.field(field), value)
}

// identities returns all databases without their settings, in the order of their names.
func (r *reader) identities() (all []Database) {
	for _, entry := range r.decodeEntries() {
		all = append(all, r.identity(entry, all))
	}
	for _, d := range builtIn {
		if !slices.ContainsFunc(all, func(other Database) bool { return other.Name == d.Name }) {
			all = append(all, d)
		}
	}
	if slices.ContainsFunc(all, r.unsure) {
		r.known[databasesKey] = true
	}
	slices.SortStableFunc(all, func(a, b Database) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// unsure reports whether the database's name or namespace is faulty.
func (r *reader) unsure(d Database) bool {
	return r.faulty(d.field("name")) || r.faulty(d.field("namespace"))
}

// identity reads the name and the namespace of an entry after earlier ones.
func (r *reader) identity(entry string, earlier []Database) Database {
	d := Database{entry: entry}
	nameKey, namespaceKey := d.field("name"), d.field("namespace")
	if !r.sets(d, "name") {
		r.fault(nameKey, "not set; for example: %s", set(nameKey, "shop"))
		if r.sets(d, "namespace") {
			r.text(namespaceKey, databaseNamespace, "apps")
		}
		return d
	}
	d.Name = r.text(nameKey, databaseName, "shop")
	for _, other := range earlier {
		if other.Name == d.Name && !r.faulty(nameKey) {
			r.fault(nameKey, "%q is %s already; for example: %s", d.Name, other.entry, rm(entry))
		}
	}
	for _, b := range builtIn {
		if b.Name == d.Name {
			d.Namespace, d.BuiltIn = b.Namespace, true
		}
	}
	switch {
	case d.BuiltIn:
		if r.sets(d, "namespace") && r.read(namespaceKey) != d.Namespace && !r.faulty(namespaceKey) {
			r.fault(namespaceKey, "%q is not %s, where %s is; for example: %s",
				r.read(namespaceKey), d.Namespace, d.Name, rm(namespaceKey))
		}
	case r.sets(d, "namespace"):
		d.Namespace = r.text(namespaceKey, databaseNamespace, "apps")
	default:
		r.fault(namespaceKey, "not set; for example: %s", set(namespaceKey, "apps"))
	}
	return d
}

var (
	databaseName = both(
		matches(`^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$`, "a name of at most 30 small letters, digits and hyphens "+
			"that begins with a letter and ends with no hyphen"),
		free("name", "pg-",
			// Owners in secretVersions.
			"redis", "storage",
			// Databases and roles of each server.
			"postgres", "template0", "template1", "reader", "restorer", "exporter", "public", "none"))
	databaseNamespace = both(label("a namespace"), free("namespace", "kube-", "storage"))
)

// free refuses names that the stack or others have.
func free(what, prefix string, taken ...string) check {
	return satisfies(fmt.Sprintf("a free %s: %s and all that begin with %s are taken", what,
		strings.Join(taken, ", "), prefix), func(value string) bool {
		return !slices.Contains(taken, value) && !strings.HasPrefix(value, prefix)
	})
}

// decodeEntries reads databases into r.entries, and returns the paths of its elements.
func (r *reader) decodeEntries() (paths []string) {
	value := r.read(databasesKey)
	if r.faulty(databasesKey) {
		return nil
	}
	if r.ctx.IsConfigSecret(r.fullKey(databasesKey)) {
		r.fault(databasesKey, "encrypted, though no field is a secret; set each encrypted field again, "+
			"for example: %s --plaintext", set(databasesKey+"[0].name", "shop"))
		return nil
	}
	var elements []json.RawMessage
	if json.Unmarshal([]byte(value), &elements) != nil {
		r.fault(databasesKey, "not a list; for example: %s && %s", rm(databasesKey),
			set(databasesKey+"[0].name", "shop"))
	}
	r.elements = len(elements)
	for i, element := range elements {
		path := fmt.Sprintf("%s[%d]", databasesKey, i)
		var fields map[string]json.RawMessage
		if json.Unmarshal(element, &fields) != nil || fields == nil {
			r.fault(path, "not an object with the fields of a database; to remove it: %s", rm(path))
			r.known[databasesKey] = true
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			r.decodeField(path, name, fields[name])
		}
		paths = append(paths, path)
	}
	return paths
}

func (r *reader) decodeField(entry, name string, value json.RawMessage) {
	key := entry + "." + name
	var known, meant []string
	for _, field := range Fields {
		known = append(known, field.Name)
		if field.Shared == name {
			meant = append(meant, field.Name)
		}
	}
	if !slices.Contains(known, name) {
		if meant == nil {
			meant = nearest(name, known)
		}
		r.fault(key, "no such field; did you mean %s? To remove it: %s", strings.Join(meant, " or "), rm(key))
		return
	}
	var parameters map[string]json.RawMessage
	if name == "parameters" && json.Unmarshal(value, &parameters) == nil && parameters != nil {
		r.entries[key] = r.decodeParameters(key, parameters)
		return
	}
	r.entries[key] = r.decodeScalar(key, value)
}

// decodeParameters returns a map of parameters as the text of postgresParameters.
func (r *reader) decodeParameters(key string, parameters map[string]json.RawMessage) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		path := key + "." + name
		if strings.Contains(name, ".") {
			path = key + `["` + name + `"]`
		}
		pair := name + "=" + r.decodeScalar(path, parameters[name])
		if !regexp.MustCompile(`^[^;=]+=[^;]*$`).MatchString(pair) {
			r.fault(path, "%q is not a parameter without a semicolon; to remove it: %s", pair, rm(path))
		}
		if r.faulty(path) {
			r.known[key] = true
			continue
		}
		pairs = append(pairs, pair)
	}
	return strings.Join(pairs, "; ")
}

// decodeScalar returns a value as text. YAML takes a time without quotes for one, which Pulumi passes on as
// Go prints it.
func (r *reader) decodeScalar(key string, value json.RawMessage) (text string) {
	switch value[0] {
	case '{', '[', 'n':
		r.fault(key, "neither text nor a number nor true or false; to remove it: %s", rm(key))
		return ""
	case '"':
		_ = json.Unmarshal(value, &text)
	default:
		text = string(value)
	}
	if at, err := time.Parse("2006-01-02 15:04:05 -0700 MST", text); err == nil {
		return at.UTC().Format(time.RFC3339Nano)
	}
	return text
}

// checkNamespaces requires names that are still names of namespaces after namePrefix.
func (r *reader) checkNamespaces(cfg *Config) {
	for _, d := range cfg.Databases {
		name, key := cfg.NamePrefix+d.Namespace, d.field("namespace")
		if len(name) > validation.DNS1123LabelMaxLength && !r.unsure(d) && !r.faulty("namePrefix") {
			r.fault(key, "%q with namePrefix is longer than %d characters; for example: %s", name,
				validation.DNS1123LabelMaxLength, set(key, "apps"))
		}
	}
}
