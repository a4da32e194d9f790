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
	connectionsPerPod = 5
	// otherConnections are for superusers, the exporter, the archiver and a running backup.
	otherConnections = 12
)

// checkConsistency reports settings that are right by themselves, and wrong together.
func (r *reader) checkConsistency(cfg *Config) {
	r.checkReachable("articleUrl", "articleNetworks")
	r.checkRedisStorage(cfg.Redis)
	r.checkConnections(cfg)
	r.checkVersions(cfg)
}

// checkRedisStorage requires room for the data (at most half of the memory), the log of changes, and a copy
// of the log while it is rewritten.
func (r *reader) checkRedisStorage(redis Redis) {
	const memoryKey, sizeKey = "redisMemory", "redisStorageSize"
	if r.faulty(memoryKey) || r.faulty(sizeKey) {
		return
	}
	memory, size := resource.MustParse(redis.Memory), resource.MustParse(redis.StorageSize)
	least := resource.NewQuantity(memory.Value()/2*3, resource.BinarySI)
	if size.Cmp(*least) < 0 {
		r.fault(sizeKey, "%q is not at least one and a half times %s, which is %s; for example: "+
			"pulumi config set %s %s", redis.StorageSize, memoryKey, redis.Memory, sizeKey, least)
	}
}

// checkConnections requires parameters that the server starts with, and connections for all pods, including
// the extra one during an update.
func (r *reader) checkConnections(cfg *Config) {
	const memoryKey, parametersKey = "postgresMemory", "postgresParameters"
	if r.faulty(memoryKey) || r.faulty(parametersKey) {
		return
	}
	connections, err := cfg.Databases[0].Server.Parameters.Connections(cfg.Databases[0].Server.Memory)
	if err != nil {
		r.fault(parametersKey, "%w; for example: pulumi config set %s "+
			`"shared_buffers=128MB; max_connections=100"`, err, parametersKey)
		return
	}
	for _, app := range []struct {
		key      string
		replicas int
	}{{"pingpongReplicas", cfg.Pingpong.Replicas}, {"todoBackendReplicas", cfg.Todo.BackendReplicas}} {
		need := (app.replicas+1)*connectionsPerPod + otherConnections
		if !r.faulty(app.key) && need > connections {
			r.fault(app.key, "%d pods need %d connections of Postgres, which has %d; for example: "+
				"pulumi config set %s 512Mi, or max_connections=%d in %s",
				app.replicas, need, connections, memoryKey, need, parametersKey)
		}
	}
}

// checkReachable requires the networks of a private address, which no network policy opens otherwise.
func (r *reader) checkReachable(urlKey, networksKey string) {
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
			r.fault(networksKey, "not set, though %s is in a private network; for example: pulumi config set %s %s/%d",
				urlKey, networksKey, address, address.BitLen())
		}
	}
}

// checkVersions refuses versions of secrets that are not generated, because another setting replaces them.
func (r *reader) checkVersions(cfg *Config) {
	const key = "secretVersions"
	replacedBy := map[string][]string{"redis-password": {"redisPassword"}}
	for _, secret := range generatedSecrets["storage"] {
		replacedBy["storage-"+secret] = []string{"s3Endpoint"}
	}
	for _, database := range databases {
		replacedBy[database+"-owner"] = []string{database + "PostgresPassword", "postgresPassword"}
		replacedBy[database+"-reader"] = []string{database + "PostgresReaderPassword", "postgresReaderPassword"}
	}
	for _, name := range slices.Sorted(maps.Keys(replacedBy)) {
		owner, secret, _ := strings.Cut(name, "-")
		if cfg.SecretVersions[owner][secret] == "" {
			continue
		}
		if set := slices.IndexFunc(replacedBy[name], func(key string) bool { return r.read(key) != "" }); set >= 0 {
			r.fault(key, "%s has a version, which is without effect since %s is set; leave it out; for example: "+
				"pulumi config rm %s", name, replacedBy[name][set], key)
		}
	}
}
