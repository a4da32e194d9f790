package config

import (
	"net/url"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/backup"
)

// databasePart stands for the name of a database. With one address for all of them, the backups of one would
// hide that another has none.
const databasePart = "{database}"

var heartbeatURL = satisfies("an http or https address with "+databasePart+" in its path",
	func(value string) bool {
		u, err := url.Parse(value)
		if err != nil || !strings.Contains(u.Path, databasePart) {
			return false
		}
		secure := *u
		secure.Scheme = "https"
		return isHTTPS(secure.String()) && (u.Scheme == "http" || u.Scheme == "https")
	})

func heartbeatOf(value, database string) string {
	return strings.ReplaceAll(value, databasePart, database)
}

// heartbeat returns what is told of the backups of a database; nil for nothing.
func (r *reader) heartbeat() func(database string) *backup.Heartbeat {
	const key, networksKey = "backupHeartbeatUrl", "backupHeartbeatNetworks"
	given := r.secret(key, optional(heartbeatURL), `"https://hc-ping.com/KEY/{database}"`)
	networks := r.networksOrInternet(networksKey, "10.0.0.0/8")
	if given == nil || r.faulty(key) {
		if !r.faulty(key) && !r.faulty(networksKey) && r.read(networksKey) != "" {
			r.fault(key, "not set, though %s is; set it with: pulumi config set --secret %s", networksKey, key)
		}
		return func(string) *backup.Heartbeat { return nil }
	}
	r.checkReachable(key, networksKey)
	value := r.read(key)
	u, _ := url.Parse(value) // it was checked
	return func(database string) *backup.Heartbeat {
		return &backup.Heartbeat{
			URL:      pulumi.ToSecret(pulumi.String(heartbeatOf(value, database))).(pulumi.StringOutput),
			Server:   u.Scheme + "://" + u.Host,
			Networks: networks,
		}
	}
}
