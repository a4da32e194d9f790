package config

import (
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	// connectionsOfPod is how many connections each pod of an app takes.
	connectionsOfPod = 5
	// otherConnections are those that Postgres keeps for superusers, of the exporter, of the archiver and of a
	// backup that is made.
	otherConnections = 12
)

// relate finds the faults of settings that are right only apart.
func (r *reader) relate(cfg *Config) {
	r.reachable("articleUrl", "articleNetworks")
	r.redisFits(cfg.Redis)
	r.postgresFits(cfg)
	r.versionsMatter(cfg)
}

// redisFits wants room for what the memory holds at most, which is half of it, for its log, and for a copy
// while that is written anew.
func (r *reader) redisFits(redis Redis) {
	const memoryKey, sizeKey = "redisMemory", "redisStorageSize"
	if r.faulty(memoryKey) || r.faulty(sizeKey) {
		return
	}
	memory, size := resource.MustParse(redis.Memory), resource.MustParse(redis.StorageSize)
	least := resource.NewQuantity(memory.Value()/2*3, resource.BinarySI)
	if size.Cmp(*least) < 0 {
		r.fault(sizeKey, "%q is not at least one and a half times %s, which is %s; for example: pulumi config set %s %s", redis.StorageSize, memoryKey, redis.Memory, sizeKey, least)
	}
}

// postgresFits wants parameters that the server starts with, and connections for all pods, also while an
// update has one more.
func (r *reader) postgresFits(cfg *Config) {
	const memoryKey, parametersKey = "postgresMemory", "postgresParameters"
	if r.faulty(memoryKey) || r.faulty(parametersKey) {
		return
	}
	connections, err := cfg.Postgres.Parameters.Connections(cfg.Postgres.Memory)
	if err != nil {
		r.fault(parametersKey, "%w; for example: pulumi config set %s \"shared_buffers=128MB; max_connections=100\"", err, parametersKey)
		return
	}
	for _, app := range []struct {
		key      string
		replicas int
	}{{"pingpongReplicas", cfg.Pingpong.Replicas}, {"todoBackendReplicas", cfg.Todo.BackendReplicas}} {
		if need := (app.replicas+1)*connectionsOfPod + otherConnections; !r.faulty(app.key) && need > connections {
			r.fault(app.key, "%d pods need %d connections of Postgres, which has %d; for example: pulumi config set %s 512Mi, or max_connections=%d in %s",
				app.replicas, need, connections, memoryKey, need, parametersKey)
		}
	}
}

// reachable refuses an address that no network policy will let pods connect to.
func (r *reader) reachable(urlKey, networksKey string) {
	if r.faulty(urlKey) || r.faulty(networksKey) || r.read(networksKey) != "" {
		return
	}
	u, _ := url.Parse(r.read(urlKey))
	address, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return
	}
	contains := func(cidr string) bool { return netip.MustParsePrefix(cidr).Contains(address) }
	for _, network := range kube.Internet {
		if contains(network.CIDR) && slices.ContainsFunc(network.Except, contains) {
			r.fault(networksKey, "not set, though %s is in a private network; for example: pulumi config set %s %s/%d", urlKey, networksKey, address, address.BitLen())
		}
	}
}

// versionsMatter refuses versions of secrets that are not generated, since other settings take their place.
func (r *reader) versionsMatter(cfg *Config) {
	const key = "secretVersions"
	instead := map[string][]string{"redis-password": {"redisPassword"}}
	for _, secret := range generated["storage"] {
		instead["storage-"+secret] = []string{"s3Endpoint"}
	}
	for _, database := range databases {
		instead[database+"-owner"] = []string{database + "PostgresPassword", "postgresPassword"}
		instead[database+"-reader"] = []string{database + "PostgresReaderPassword", "postgresReaderPassword"}
	}
	for _, name := range slices.Sorted(maps.Keys(instead)) {
		owner, secret, _ := strings.Cut(name, "-")
		if cfg.SecretVersions[owner][secret] == "" {
			continue
		}
		if set := slices.IndexFunc(instead[name], func(key string) bool { return r.read(key) != "" }); set >= 0 {
			r.fault(key, "%s has a version, which is without effect since %s is set; leave it out; for example: pulumi config rm %s", name, instead[name][set], key)
		}
	}
}
