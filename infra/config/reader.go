package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// reader reads settings, and collects their faults.
type reader struct {
	ctx    *pulumi.Context
	known  map[string]bool // the keys that were read, and whether they are faulty
	faults []error

	entries  map[string]string // the fields of databases, by their paths, such as databases[2].memory
	elements int               // how many entries there are
	free     map[string]string // paths for the entries of databases that have none, by their names
}

func newReader(ctx *pulumi.Context) *reader {
	return &reader{ctx: ctx, known: map[string]bool{}, entries: map[string]string{}, free: map[string]string{}}
}

var (
	userInfo   = regexp.MustCompile(`(^|//)[^/@]+@`)
	privateKey = regexp.MustCompile(`AGE-SECRET-KEY-\S+`)
)

// redact removes passwords in addresses and private keys from a value, for messages.
func redact(value string) string {
	if !strings.Contains(value, "@sha256:") {
		value = userInfo.ReplaceAllString(value, "$1…@")
	}
	return privateKey.ReplaceAllString(value, "…")
}

// text reads a setting that is no secret.
func (r *reader) text(key string, check check, example string) string {
	value := r.read(key)
	if what := check(value); what != "" && !r.faulty(key) {
		r.fault(key, "%q is not %s; for example: %s", redact(value), what, set(key, example))
	}
	return value
}

// number reads a setting. Its check must accept whole numbers only.
func (r *reader) number(key string, check check, example string) int {
	number, _ := strconv.Atoi(r.text(key, check, example))
	return number
}

func (r *reader) boolean(key, example string) bool {
	return r.text(key, boolean, example) == "true"
}

func (r *reader) duration(key string, check check, example string) time.Duration {
	d, _ := time.ParseDuration(r.text(key, check, example))
	return d
}

func (r *reader) parameters(key, example string) statefulset.Parameters {
	parameters, _ := statefulset.ParseParameters(r.text(key, postgresParameters, example))
	return parameters
}

// networks returns nil if the setting is empty.
func (r *reader) networks(key, example string) (networks []kube.Network) {
	for _, cidr := range strings.Fields(r.text(key, cidrs, example)) {
		networks = append(networks, kube.Network{CIDR: cidr})
	}
	return networks
}

// networksOrInternet returns the internet if the setting is empty.
func (r *reader) networksOrInternet(key, example string) []kube.Network {
	if networks := r.networks(key, example); networks != nil {
		return networks
	}
	return kube.Internet
}

func (r *reader) dnsServers(key, example string) (servers []kube.DNSServer) {
	for _, server := range strings.Fields(r.text(key, dnsServers, example)) {
		parsed, _ := parseDNSServer(server)
		servers = append(servers, parsed)
	}
	return servers
}

// secret reads a setting that must be encrypted. It returns nil if the setting is empty. No message shows its
// value.
func (r *reader) secret(key string, check check, example string) pulumi.StringInput {
	value := r.read(key)
	if value == "" {
		return nil
	}
	command := strings.TrimSpace("pulumi config set --secret " + key + " " + example)
	if r.faulty(key) {
		return nil
	}
	if !r.ctx.IsConfigSecret(r.fullKey(key)) {
		r.fault(key, "not encrypted; encrypt it with: pulumi config set --secret %s", key)
	} else if what := check(value); what != "" {
		r.fault(key, "not %s; for example: %s", what, command)
	}
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
}

// read returns the text of a setting, or of a field of databases.
func (r *reader) read(key string) string {
	r.known[key] = r.faulty(key)
	if value, set := r.entries[key]; set {
		return value
	}
	value, declared := r.ctx.GetConfig(r.fullKey(key))
	if !declared && !r.faulty(key) {
		r.fault(key, "neither set nor declared in Pulumi.yaml, which gives every setting a default; "+
			"declare it there")
	}
	return value
}

// rejectUnknown reports settings that the program has not read. The SDK lists all settings only in its
// environment.
func (r *reader) rejectUnknown() {
	var all map[string]string
	if err := json.Unmarshal([]byte(os.Getenv(pulumi.EnvConfig)), &all); err != nil {
		r.faults = append(r.faults, fmt.Errorf(
			"reading $%s, which Pulumi sets: %w; run the program with pulumi up", pulumi.EnvConfig, err))
		return
	}
	known := slices.Sorted(maps.Keys(r.known))
	for _, fullKey := range slices.Sorted(maps.Keys(all)) {
		key, ours := strings.CutPrefix(fullKey, r.fullKey(""))
		if ours && !slices.Contains(known, key) {
			r.fault(key, "no such setting; did you mean %s? To remove it: pulumi config rm %s",
				strings.Join(nearest(key, known), " or "), key)
		}
		// They configure the SDK's default provider, which this program does not use.
		if strings.HasPrefix(fullKey, "kubernetes:") {
			r.faults = append(r.faults, fmt.Errorf("%s: has no effect on this stack: choose its cluster with "+
				"%s, %s or %s; for example: pulumi config set %s my-cluster. To remove it: pulumi config rm %s",
				fullKey, contextKey, kubeconfigKey, kubeconfigFromKey, contextKey, fullKey))
		}
	}
}

// set returns the command that sets a setting, or a field of databases.
func set(key, value string) string { return SetCommand(key) + " " + value }

// SetCommand returns that command without the value.
func SetCommand(key string) string { return "pulumi config set " + argument(key) }

// rm returns the command that removes it.
func rm(key string) string { return "pulumi config rm " + argument(key) }

func argument(key string) string {
	if strings.ContainsAny(key, "[.") {
		return "--path '" + key + "'"
	}
	return key
}

// unlessUnsure accepts every value while names of databases are faulty: it may mean one of those.
func (r *reader) unlessUnsure(c check) check {
	if r.faulty(databasesKey) {
		return func(string) string { return "" }
	}
	return c
}

// nearest returns the candidates that are most like the key.
func nearest(key string, candidates []string) []string {
	bySimilarity := map[float64][]string{}
	for _, candidate := range candidates {
		similarity := levenshtein.Similarity(strings.ToLower(key), strings.ToLower(candidate), nil)
		bySimilarity[similarity] = append(bySimilarity[similarity], candidate)
	}
	return bySimilarity[slices.Max(slices.Collect(maps.Keys(bySimilarity)))]
}

func (r *reader) fault(key, format string, args ...any) {
	r.known[key] = true
	r.faults = append(r.faults, fmt.Errorf(r.fullKey(key)+": "+format, args...))
}

func (r *reader) faulty(key string) bool {
	return r.known[key]
}

func (r *reader) fullKey(key string) string {
	return r.ctx.Project() + ":" + key
}
