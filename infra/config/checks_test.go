package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ageKey is a public key of age. Nobody has its private key.
const ageKey = "age1r83uz8exdaypupep8gm530pvksak4eejvwsu8e9nek87jmxwty0qsngh3m"

// ageIdentity is a private key of age that opens nothing.
const ageIdentity = "AGE-SECRET-KEY-1RTQU55C00ZXA04N723695APENPFR8EAVVCC2QG8HSHY57DMTVTUQ2V57GN"

var longLabel = strings.Repeat("a", 64)

var threeDatabases = []Database{builtIn[0], {Name: "shop", Namespace: "apps"}, builtIn[1]}

// checkCases are values that each check accepts, and values that it refuses, by what they should be.
var checkCases = map[string]struct {
	check    check
	accepted []string
	refused  map[string][]string
}{
	"namePrefix": {namePrefix, []string{"alice-", "a-1-"}, map[string][]string{
		"a prefix of at most 32 small letters, digits and hyphens with a hyphen at its end": {
			"alice", "Alice-", "-", "a-name-of-more-than-thirty-two-ch-", "alice-\n", " alice-"}}},
	"builderName": {builderName, []string{"mybuilder", "a_b.c-d"}, map[string][]string{
		"the name of a buildx builder": {"my builder", "-x"}}},
	"objectName": {objectName("a Secret"), []string{"local-path", "a.b"}, map[string][]string{
		"a Secret": {"", "Local-Path", "local path", "local_path", "local-path "}}},
	"label": {label("a namespace"), []string{"kube-system"}, map[string][]string{
		"a namespace": {"Kube System", "a.b", longLabel}}},
	"bucketName": {bucketName, []string{"backups"}, map[string][]string{
		"the name of a bucket": {"My/Bucket", "a", "192.168.0.1", "-a-b", ""}}},
	"bucketPrefix": {bucketPrefix, []string{"production", "house/north"}, map[string][]string{
		"a folder of letters, digits, hyphens and underscores, or up to four with slashes between them": {
			"/house", "a/", "../x", "a/b/c/d/e"}}},
	"region":   {region, []string{"us-east-1"}, map[string][]string{"a region": {"eu north", ""}}},
	"notEmpty": {notEmpty, []string{"2"}, map[string][]string{"a value": {"", " "}}},
	"username": {username, []string{"alice"}, map[string][]string{
		"a user's name, without a colon": {" ", "a:b"}}},
	"boolean": {boolean, []string{"true", "false"}, map[string][]string{
		"true or false": {"on", "TRUE", "yes", ""}}},
	"replicas": {replicas, []string{"1", "10", "20"}, map[string][]string{
		"a number from 1 to 20": {"0", "21", "two", "-2", "2.5", "1e1", "", " 2"}}},
	"count": {count, []string{"0", "999"}, map[string][]string{
		"a number from 0 to 999": {"-1", "1000", "99999999999999999999", "7.0", "7\n"}}},
	"days": {days, []string{"1", "999"}, map[string][]string{"a number from 1 to 999": {"0", "1000"}}},
	"compression": {compression, []string{"1", "19"}, map[string][]string{
		"a number from 1 to 19": {"0", "20", "22"}}},
	"memory": {memory("16Mi"), []string{"16Mi", "1.5Gi", "16Ti"}, map[string][]string{
		"a Kubernetes quantity":   {"64MB", "64mb", " 64Mi", "64Mi\n", "NaN", "1,5Gi"},
		"at least 16Mi":           {"15Mi", "0", "-1Gi", "64m"},
		"at most 16Ti":            {"1e400", "100000000Gi"},
		"a whole number of bytes": {"67108864500m"}}},
	"size": {size("1Mi"), []string{"1Mi", "1Pi"}, map[string][]string{
		"a Kubernetes quantity": {"100 MB"}, "at least 1Mi": {"-1Gi"}, "at most 1Pi": {"9999Ei"}}},
	"schedule": {schedule, []string{"0 * * * *", "@daily", "30 4 * * 0"}, map[string][]string{
		"a cron schedule of five fields": {"hourly", "0 * * * * *", "TZ=UTC 0 * * * *", "61 * * * *", "@every 1h",
			"@reboot", " 0 * * * *", "0 * * * *\n", "* * * *", "*/0 * * * *"},
		"a cron schedule of a day that exists": {"0 0 31 2 *", "0 0 30 2 *"}}},
	"timeZone": {timeZone, []string{"Etc/UTC", "Europe/Helsinki"}, map[string][]string{
		"a time zone": {"", "Local", "Helsinki", "Europe / Helsinki", "europe/helsinki", "UTC+2", "+02:00"}}},
	"withinADay": {withinADay, []string{"1m", "90m", "24h"}, map[string][]string{
		"a time from 1m to 24h, in whole seconds": {"1", "59s", "25h", "1 h", "-1h", "1d", "1h30"}}},
	"withinAnHour": {withinAnHour, []string{"1s", "1h"}, map[string][]string{
		"a time from 1s to 1h, in whole seconds": {"0s", "61m", "1500ms", "10"}}},
	"restorePoint": {restorePoint, []string{"latest", "end", "2026-11-22T14:05:00Z", "20261122T020000Z-1a2b3c",
		"end-7711158423862165527-2", "end-7711158423862165527-2-1a2b3c4d"}, map[string][]string{
		"latest, end, the name of a backup or an archive, or a time such as 2026-11-22T14:05:00Z": {
			"yesterday", "2026-11-22 14:05:00", "2026-11-22", "Latest", "2026-11-22T14:05:00",
			"2026-02-30T14:05:00Z", "20261122T020000Z", "end-latest"},
		"a time in the past": {"2999-01-01T00:00:00Z"}}},
	"databaseNames": {databaseNames(threeDatabases), []string{"", "todo", "todo pingpong"}, map[string][]string{
		"a list of pingpong, shop and todo with spaces between them": {"postgres", "pingpong,todo"}}},
	"image": {image, []string{"redis:8", "registry.example.com:5000/redis:8.2", "redis@sha256:" +
		strings.Repeat("0", 64)}, map[string][]string{
		"an image": {"", "Redis", "Redis:8", "redis:8@sha256:abc", "redis:", "redis:8 ", "https://redis",
			"registry.example.com:99999/redis:8"},
		"an image with its version": {"redis", "redis:latest"}}},
	"postgresImage": {postgresImage, []string{"postgres:17", "postgres:18.1-trixie", "mine/pg:production"},
		map[string][]string{
			"an image": {"Postgres"}, "an image with its version": {"postgres", "postgres:latest"},
			"an image of PostgreSQL 17 or newer on Debian": {"postgres:16", "postgres:17-alpine"}}},
	"registryPath": {registryPath, []string{"registry.example.com", "registry.example.com:5000/team"},
		map[string][]string{"a registry's host, with a path if it needs one": {"team",
			"https://registry.example.com", "registry.example.com/team/", "registry.example.com:99999/team",
			"registry.example.com:5000/Team", "registry.example.com/team:1", "user:pw@registry.example.com",
			"registry.example.com ", "registry.example.com:"}}},
	"articleURL": {articleURL, []string{"https://wiki.example.com:8443/random", "https://[fd00::1]/x"},
		map[string][]string{"an https address": {"", "http://wiki.example.com/random", "https:///random",
			"https://x.example.com:99999/", "https://user:pw@x.example.com", "https://x.example.com:0/",
			" https://x.example.com", "https://x.example.com/a b", "https://x.example.com\n", "https://-bad-/"}}},
	"heartbeatURL": {heartbeatURL, []string{"https://hc-ping.com/key/{database}?create=1",
		"http://10.0.0.5:8000/ping/backup-{database}"},
		map[string][]string{"an http or https address with {database} in its path": {
			"https://hc-ping.com/key", "https://hc-ping.com/key?name={database}", "https://{database}.example.com/",
			"hc-ping.com/key/{database}", "ftp://hc-ping.com/{database}", "https://a:b@hc-ping.com/{database}",
			"https:///{database}"}}},
	"s3Endpoint": {s3Endpoint, []string{"https://s3.example.com", "https://s3.example.com:9000/"},
		map[string][]string{"an https address without a path": {"http://s3.example.com",
			"https://s3.example.com/backups", "https://key@s3.example.com", "https://s3.example.com?a",
			"s3.example.com", "https://s3.example.com:443/x", "ftp://s3.example.com"}}},
	"hostName": {hostName, []string{"todo.example.com"}, map[string][]string{
		"a host name": {"https://todo.example.com", "10.0.0.1", "*.example.com", "todo.example.com:8080",
			"todo.example.com/", "Todo.example.com", "todo example", longLabel + ".com", "example.com.", "::1"}}},
	"cidrs": {cidrs, []string{"", "10.0.0.0/8 fd00::/8"}, map[string][]string{
		"a list of networks with spaces between them": {"10.0.0.0", "10.0.0.1/8", "10.0.0.0/33",
			"10.0.0.0/8,10.1.0.0/16", "::ffff:10.0.0.0/104", "fe80::%eth0/64"}}},
	"dnsServers": {dnsServers, []string{"kube-system/k8s-app=kube-dns",
		"openshift-dns/a.b/c=default:5353 169.254.20.10/32"},
		map[string][]string{"a list of networks and of pods as NAMESPACE/LABEL=VALUE or " +
			"NAMESPACE/LABEL=VALUE:PORT, with spaces between them": {"", "169.254.20.10", "169.254.20.10/24",
			"kube-system",
			"kube-system/k8s-app", "k8s-app=kube-dns", "kube-system/=kube-dns", "kube-system/k8s-app=kube-dns:0",
			"kube-system/k8s-app=kube-dns:dns", "kube-system/k8s-app=kube-dns, 169.254.20.10/32"}}},
	"origins": {origins, []string{"*", "https://a.example.com http://localhost:3000"}, map[string][]string{
		"* or origins with spaces between them": {"", "todo.example.com", "https://todo.example.com/",
			"* https://todo.example.com", "https://a.example.com, https://b.example.com",
			"https://*.example.com", "https://todo.example.com:443", "https://TODO.example.com", "null",
			"https://todo.example.com:99999", "http://a.example.com:80"}}},
	"ownOrigins": {ownOrigins, []string{"https://a.example.com http://10.0.0.7:8080"}, map[string][]string{
		"origins with spaces between them": {"*", " ", "todo.example.com"}}},
	"password": {password, []string{"correct-horse", strings.Repeat("x", 128)}, map[string][]string{
		"8 to 128 printable ASCII characters without spaces": {"short", "correct horse", "correct-horse\x00",
			strings.Repeat("x", 129), "pässwörter"}}},
	"recipient": {recipient, []string{ageKey}, map[string][]string{
		"a public key of age": {"age1", ageKey + "q", ageIdentity}}},
	"identity": {identity, []string{ageIdentity}, map[string][]string{
		"a private key of age": {ageKey, "key.txt"}}},
	"certificates": {certificates, nil, map[string][]string{"certificates in PEM": {"ca.crt",
		"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"}}},
	"output": {output, []string{"alice/cluster/prod/kubeconfig"}, map[string][]string{
		"organization/project/stack/output": {"cluster/prod"}}},
	"kubeconfig": {kubeconfig, []string{testKubeconfig}, map[string][]string{
		"the text of a kubeconfig": {"~/.kube/config", "{}"}}},
	"postgresParameters": {postgresParameters, []string{"", "work_mem=8MB; jit=off"}, map[string][]string{
		"a list of name=value with semicolons between them: port is not yours to set": {"port=1"},
		`a list of name=value with semicolons between them: "work_mem" has no value`:  {"work_mem"},
		"a list of name=value with semicolons between them: jit is set twice":         {"jit=off; jit=on"},
	}},
	"secretVersions": {secretVersions(generatedSecrets(threeDatabases)),
		[]string{"", "shop-owner=2; redis-password = 3; storage-apps_shop-key=2; postgres=4; shop=5"},
		map[string][]string{
			`a list of name=version with semicolons between them: "redis-password" has no value`: {"redis-password"},
			"a list of name=version with semicolons between them: redis-password has no version": {"redis-password="},
			`a list of name=version with semicolons between them: "todo-salt" is no secret; there are ` +
				"pingpong, pingpong-certificate, pingpong-exporter, pingpong-owner, pingpong-reader, " +
				"pingpong-restorer, postgres, postgres-certificates, postgres-passwords, redis, redis-password, " +
				"shop, shop-certificate, shop-exporter, shop-owner, shop-reader, shop-restorer, storage, " +
				"storage-apps_shop-key, storage-certificate, storage-certificates, storage-exercises-key, " +
				"storage-keys, storage-project-key, todo, todo-certificate, todo-exporter, todo-owner, " +
				"todo-reader, todo-restorer": {"todo-salt=2"}}},
}

func TestChecks(t *testing.T) {
	for name, test := range checkCases {
		t.Run(name, func(t *testing.T) {
			for _, value := range test.accepted {
				require.Empty(t, test.check(value), "%q", value)
			}
			for wanted, values := range test.refused {
				for _, value := range values {
					require.Equal(t, wanted, test.check(value), "%q", value)
				}
			}
		})
	}
}

const testKubeconfig = `{"apiVersion": "v1", "kind": "Config", "contexts": [{"name": "prod", "context": {}}]}`
