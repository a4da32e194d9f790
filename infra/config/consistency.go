package config

import (
	"net/netip"
	"net/url"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
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
	for _, d := range cfg.Databases {
		r.checkConnections(d, cfg.Apps)
		r.checkArchive(d)
		r.checkEngine(d)
	}
	r.checkNamespaces(cfg)
	r.checkVersions(cfg.Databases)
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
func (r *reader) checkConnections(d Database, apps Apps) {
	memoryKey, parametersKey := r.key(d, "memory"), r.key(d, "parameters")
	if r.faulty(memoryKey) || r.faulty(parametersKey) {
		return
	}
	connections, err := d.Server.Parameters.Connections(d.Server.Memory)
	if err != nil {
		if r.sets(d, "memory") {
			parametersKey = d.field("parameters") // that the shared ones fit elsewhere is right
		}
		r.fault(parametersKey, "%w; for example: %s", err,
			set(parametersKey, `"shared_buffers=128MB; max_connections=100"`))
		return
	}
	podsKey, pods := apps.pods(d.Name)
	need := (pods+1)*connectionsPerPod + otherConnections
	if pods > 0 && !r.faulty(podsKey) && need > connections {
		r.fault(podsKey, "%d pods need %d connections of Postgres, which has %d; for example: "+
			"%s, or max_connections=%d in %s", pods, need, connections, set(memoryKey, "512Mi"), need, parametersKey)
	}
}

// checkArchive requires encryption of the archive if backups are encrypted: it holds everything that they
// hold.
func (r *reader) checkArchive(d Database) {
	const passphraseKey, recipientKey = "archivePassphrase", "backupRecipient"
	if d.Engine == cluster.CloudNativePGEngine || d.Archive == nil || d.Archive.Passphrase != nil ||
		r.faulty(passphraseKey) || r.faulty(recipientKey) || r.read(recipientKey) == "" {
		return
	}
	r.fault(passphraseKey, "not set, though %s is, so that the archive would hold in plain text what backups "+
		"hold encrypted; set it with: pulumi config set --secret %s %s, or have no archive: %s", recipientKey,
		passphraseKey, newPassword, set(r.key(d, "archive"), "false"))
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
