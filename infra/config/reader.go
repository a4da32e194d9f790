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

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
)

// reader collects the faults of the settings it reads, and remembers which there are.
type reader struct {
	ctx    *pulumi.Context
	known  map[string]bool // by key, whether a fault was found
	faults []error
}

var (
	login      = regexp.MustCompile(`(^|//)[^/@]+@`)
	privateKey = regexp.MustCompile(`AGE-SECRET-KEY-\S+`)
)

// shown leaves out passwords in addresses and private keys: messages stand in logs.
func shown(value string) string {
	if !strings.Contains(value, "@sha256:") {
		value = login.ReplaceAllString(value, "$1…@")
	}
	return privateKey.ReplaceAllString(value, "…")
}

// text reads a setting that is no secret.
func (r *reader) text(key string, check check, example string) string {
	value := r.read(key)
	if what := check(value); what != "" && !r.faulty(key) {
		r.fault(key, "%q is not %s; for example: pulumi config set %s %s", shown(value), what, key, example)
	}
	return value
}

// number reads a setting whose check allows whole numbers only.
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

// networks are none if the setting is empty.
func (r *reader) networks(key, example string) (networks []kube.Network) {
	for _, cidr := range strings.Fields(r.text(key, cidrs, example)) {
		networks = append(networks, kube.Network{CIDR: cidr})
	}
	return networks
}

// networksOrInternet are the internet if the setting is empty.
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

// secret reads a setting that must be encrypted. It is nil if the setting is empty. No message shows it.
func (r *reader) secret(key string, check check, example string) pulumi.StringInput {
	value := r.read(key)
	if value == "" {
		return nil
	}
	command := strings.TrimSpace("pulumi config set --secret " + key + " " + example)
	if !r.ctx.IsConfigSecret(r.fullKey(key)) {
		r.fault(key, "not encrypted; encrypt it with: pulumi config set --secret %s", key)
	} else if what := check(value); what != "" {
		r.fault(key, "not %s; for example: %s", what, command)
	}
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
}

func (r *reader) read(key string) string {
	r.known[key] = false
	value, declared := r.ctx.GetConfig(r.fullKey(key))
	if !declared {
		r.fault(key, "neither set nor declared in Pulumi.yaml, which gives every setting a default; declare it there")
	}
	return value
}

// refuseUnknown finds the faults of settings that were never read. The SDK has no list of all settings but in
// its environment.
func (r *reader) refuseUnknown() {
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
		// They are those of a provider that the SDK makes for programs without one of their own.
		if strings.HasPrefix(fullKey, "kubernetes:") {
			r.faults = append(r.faults,
				fmt.Errorf("%s: has no effect on this stack, whose cluster is chosen with %s, %s or %s; for example: pulumi config set %s my-cluster. "+
					"To remove it: pulumi config rm %s", fullKey, contextKey, kubeconfigKey, kubeconfigFromKey, contextKey,
					fullKey))
		}
	}
}

// nearest returns the candidates that need the fewest edits for their length.
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
