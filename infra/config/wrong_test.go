package config_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type set = map[string]string

// Each is refused by the program, so already by a preview, with a message that names key and fault and has an example.
func TestWrongSettings(t *testing.T) {
	const (
		prefix    = `is not a prefix of at most 32 small letters, digits and hyphens with a hyphen at its end; for example: pulumi config set namePrefix alice-`
		registry  = `is not a registry's host, with a path if it needs one; for example: pulumi config set registry registry.example.com/team`
		storage   = `for example: pulumi config set redisStorageSize 100Mi`
		memory    = `for example: pulumi config set redisMemory 64Mi`
		password  = `stateful-k3s:redisPassword: not 8 to 128 printable ASCII characters without spaces; for example: pulumi config set --secret redisPassword "$(openssl rand -hex 16)"`
		origins   = `is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`
		own       = `is not origins with spaces between them; for example: pulumi config set todoOwnOrigins https://todo.example.com`
		cron      = `is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`
		article   = `is not an https address; for example: pulumi config set articleUrl https://en.wikipedia.org/wiki/Special:Random`
		networks  = `is not a list of networks with spaces between them; for example: pulumi config set articleNetworks 10.0.0.0/8`
		retention = `is not a number from 0 to 999; for example: pulumi config set backupKeep`
		recipient = `is not a public key of age; for example: pulumi config set backupRecipient $(age-keygen -y key.txt)`
		point     = `is not latest, end, the name of a backup or an archive, or a time such as 2026-11-22T14:05:00Z; for example: pulumi config set `
		over      = `is not a list of pingpong and todo with spaces between them; for example: pulumi config set restoreOver pingpong`
		nothing   = `, which is restored from nothing; for example: pulumi config set `
		timeout   = `is not a time from 1m to 24h, in whole seconds; for example: pulumi config set backupTimeout 90m`
		endpoint  = `is not an https address without a path; for example: pulumi config set s3Endpoint https://s3.example.com`
		unneeded  = ` is set; leave it out; for example: pulumi config rm secretVersions`
		dns       = `is not a list of networks and of pods as NAMESPACE/LABEL=VALUE or NAMESPACE/LABEL=VALUE:PORT, with spaces between them; for example: pulumi config set dnsServers kube-system/k8s-app=kube-dns`
		elsewhere = `; for example: pulumi config set s3Endpoint https://s3.example.com`
	)
	for _, test := range []struct {
		settings set
		message  string
	}{
		// Names
		{set{"namePrefix": "alice"}, `stateful-k3s:namePrefix: "alice" ` + prefix},
		{set{"namePrefix": "Alice-"}, `stateful-k3s:namePrefix: "Alice-" ` + prefix},
		{set{"namePrefix": "-"}, `stateful-k3s:namePrefix: "-" ` + prefix},
		{set{"namePrefix": "a-name-of-more-than-thirty-two-ch-"}, `stateful-k3s:namePrefix: "a-name-of-more-than-thirty-two-ch-" ` + prefix},
		{set{"namePrefix": "alice-\n"}, `stateful-k3s:namePrefix: "alice-\n" is not a prefix of at most 32 small letters, digits and hyphens with a hyphen at its end; for example: pulumi config set namePrefix alice-`},
		{set{"namePrefix": " alice-"}, `stateful-k3s:namePrefix: " alice-" is not a prefix of at most 32 small letters, digits and hyphens with a hyphen at its end; for example: pulumi config set namePrefix alice-`},
		{set{"builder": "my builder"}, `stateful-k3s:builder: "my builder" is not the name of a buildx builder; for example: pulumi config set builder mybuilder`},
		{set{"builder": "-x"}, `stateful-k3s:builder: "-x" is not the name of a buildx builder; for example: pulumi config set builder mybuilder`},
		{set{"storageClass": ""}, `stateful-k3s:storageClass: "" is not the name of a storage class; for example: pulumi config set storageClass local-path`},
		{set{"storageClass": "Local Path"}, `stateful-k3s:storageClass: "Local Path" is not the name of a storage class; for example: pulumi config set storageClass local-path`},
		{set{"storageClass": "Local_Path"}, `stateful-k3s:storageClass: "Local_Path" is not the name of a storage class; for example: pulumi config set storageClass local-path`},
		{set{"storageClass": "local-path "}, `stateful-k3s:storageClass: "local-path " is not the name of a storage class; for example: pulumi config set storageClass local-path`},
		{set{"s3Bucket": "My/Bucket"}, `stateful-k3s:s3Bucket: "My/Bucket" is not the name of a bucket; for example: pulumi config set s3Bucket backups`},
		{set{"s3Bucket": "a"}, `stateful-k3s:s3Bucket: "a" is not the name of a bucket; for example: pulumi config set s3Bucket backups`},
		{set{"s3Bucket": "192.168.0.1"}, `stateful-k3s:s3Bucket: "192.168.0.1" is not the name of a bucket; for example: pulumi config set s3Bucket backups`},
		{set{"s3Bucket": "-a-b"}, `stateful-k3s:s3Bucket: "-a-b" is not the name of a bucket; for example: pulumi config set s3Bucket backups`},
		{set{"s3Bucket": ""}, `stateful-k3s:s3Bucket: "" is not the name of a bucket; for example: pulumi config set s3Bucket backups`},
		{set{"s3Prefix": "/house"}, `stateful-k3s:s3Prefix: "/house" is not a folder of letters, digits, hyphens and underscores, or up to four with slashes between them; for example: pulumi config set s3Prefix production`},
		{set{"s3Prefix": "a/"}, `stateful-k3s:s3Prefix: "a/" is not a folder of letters, digits, hyphens and underscores, or up to four with slashes between them; for example: pulumi config set s3Prefix production`},
		{set{"s3Prefix": "../x"}, `stateful-k3s:s3Prefix: "../x" is not a folder of letters, digits, hyphens and underscores, or up to four with slashes between them; for example: pulumi config set s3Prefix production`},
		{set{"s3Region": "eu north"}, `stateful-k3s:s3Region: "eu north" is not a region; for example: pulumi config set s3Region us-east-1`},
		{set{"s3Region": ""}, `stateful-k3s:s3Region: "" is not a region; for example: pulumi config set s3Region us-east-1`},
		{set{"ingressClass": ""}, `stateful-k3s:ingressClass: "" is not an ingress class, or none; for example: pulumi config set ingressClass traefik`},
		{set{"ingressClass": "Nginx"}, `stateful-k3s:ingressClass: "Nginx" is not an ingress class, or none; for example: pulumi config set ingressClass traefik`},
		{set{"ingressClass": "None"}, `stateful-k3s:ingressClass: "None" is not an ingress class, or none; for example: pulumi config set ingressClass traefik`},
		{set{"ingressNamespace": "Kube System"}, `stateful-k3s:ingressNamespace: "Kube System" is not a namespace; for example: pulumi config set ingressNamespace kube-system`},
		{set{"ingressNamespace": "a.b"}, `stateful-k3s:ingressNamespace: "a.b" is not a namespace; for example: pulumi config set ingressNamespace kube-system`},
		{set{"ingressNamespace": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, `stateful-k3s:ingressNamespace: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" is not a namespace; for example: pulumi config set ingressNamespace kube-system`},
		{set{"ingressNetworks": "10.0.0.1"}, `stateful-k3s:ingressNetworks: "10.0.0.1" is not a list of networks with spaces between them; for example: pulumi config set ingressNetworks 10.0.0.0/16`},
		{set{"dnsServers": ""}, `stateful-k3s:dnsServers: "" ` + dns},
		{set{"dnsServers": "169.254.20.10"}, `stateful-k3s:dnsServers: "169.254.20.10" ` + dns},
		{set{"dnsServers": "169.254.20.10/24"}, `stateful-k3s:dnsServers: "169.254.20.10/24" ` + dns},
		{set{"dnsServers": "kube-system"}, `stateful-k3s:dnsServers: "kube-system" ` + dns},
		{set{"dnsServers": "kube-system/k8s-app"}, `stateful-k3s:dnsServers: "kube-system/k8s-app" ` + dns},
		{set{"dnsServers": "k8s-app=kube-dns"}, `stateful-k3s:dnsServers: "k8s-app=kube-dns" ` + dns},
		{set{"dnsServers": "kube-system/=kube-dns"}, `stateful-k3s:dnsServers: "kube-system/=kube-dns" ` + dns},
		{set{"dnsServers": "kube-system/k8s-app=kube-dns:0"}, `stateful-k3s:dnsServers: "kube-system/k8s-app=kube-dns:0" ` + dns},
		{set{"dnsServers": "kube-system/k8s-app=kube-dns:dns"}, `stateful-k3s:dnsServers: "kube-system/k8s-app=kube-dns:dns" ` + dns},
		{set{"dnsServers": "kube-system/k8s-app=kube-dns, 169.254.20.10/32"}, `stateful-k3s:dnsServers: "kube-system/k8s-app=kube-dns, 169.254.20.10/32" ` + dns},
		{set{"ingressHost": "https://todo.example.com"}, `stateful-k3s:ingressHost: "https://todo.example.com" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressHost": "10.0.0.1"}, `stateful-k3s:ingressHost: "10.0.0.1" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressHost": "*.example.com"}, `stateful-k3s:ingressHost: "*.example.com" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressHost": "todo.example.com:8080"}, `stateful-k3s:ingressHost: "todo.example.com:8080" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressHost": "todo.example.com/"}, `stateful-k3s:ingressHost: "todo.example.com/" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressHost": "Todo.example.com"}, `stateful-k3s:ingressHost: "Todo.example.com" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressHost": "todo example"}, `stateful-k3s:ingressHost: "todo example" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressHost": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com"}, `stateful-k3s:ingressHost: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressHost": "example.com."}, `stateful-k3s:ingressHost: "example.com." is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressHost": "::1"}, `stateful-k3s:ingressHost: "::1" is not a host name; for example: pulumi config set ingressHost todo.example.com`},
		{set{"ingressTLSSecret": "todo_tls"}, `stateful-k3s:ingressTLSSecret: "todo_tls" is not the name of a Secret; for example: pulumi config set ingressTLSSecret todo-tls`},
		{set{"ingressTLSSecret": "todo tls"}, `stateful-k3s:ingressTLSSecret: "todo tls" is not the name of a Secret; for example: pulumi config set ingressTLSSecret todo-tls`},
		{set{"registryUsername": " "}, `stateful-k3s:registryUsername: " " is not a user's name, without a colon; for example: pulumi config set registryUsername alice`},

		// Types and ranges
		{set{"pingpongReplicas": "0"}, `stateful-k3s:pingpongReplicas: "0" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{set{"pingpongReplicas": "21"}, `stateful-k3s:pingpongReplicas: "21" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{set{"pingpongReplicas": "two"}, `stateful-k3s:pingpongReplicas: "two" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{set{"pingpongReplicas": "-2"}, `stateful-k3s:pingpongReplicas: "-2" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{set{"pingpongReplicas": "2.5"}, `stateful-k3s:pingpongReplicas: "2.5" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{set{"pingpongReplicas": "1e1"}, `stateful-k3s:pingpongReplicas: "1e1" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{set{"pingpongReplicas": ""}, `stateful-k3s:pingpongReplicas: "" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{set{"pingpongReplicas": " 2"}, `stateful-k3s:pingpongReplicas: " 2" is not a number from 1 to 20; for example: pulumi config set pingpongReplicas 2`},
		{set{"todoBackendReplicas": "0"}, `stateful-k3s:todoBackendReplicas: "0" is not a number from 1 to 20; for example: pulumi config set todoBackendReplicas 2`},
		{set{"todoFrontendReplicas": "many"}, `stateful-k3s:todoFrontendReplicas: "many" is not a number from 1 to 20; for example: pulumi config set todoFrontendReplicas 2`},
		{set{"backupKeepDaily": "-1"}, `stateful-k3s:backupKeepDaily: "-1" ` + retention + `Daily 7`},
		{set{"backupKeepDaily": "99999999999999999999"}, `stateful-k3s:backupKeepDaily: "99999999999999999999" is not a number from 0 to 999; for example: pulumi config set backupKeepDaily 7`},
		{set{"backupKeepDaily": "7.0"}, `stateful-k3s:backupKeepDaily: "7.0" is not a number from 0 to 999; for example: pulumi config set backupKeepDaily 7`},
		{set{"backupKeepDaily": "seven"}, `stateful-k3s:backupKeepDaily: "seven" is not a number from 0 to 999; for example: pulumi config set backupKeepDaily 7`},
		{set{"backupKeepDaily": "7\n"}, `stateful-k3s:backupKeepDaily: "7\n" is not a number from 0 to 999; for example: pulumi config set backupKeepDaily 7`},
		{set{"backupKeepWeekly": "some"}, `stateful-k3s:backupKeepWeekly: "some" ` + retention + `Weekly 4`},
		{set{"backupKeepMonthly": "1000"}, `stateful-k3s:backupKeepMonthly: "1000" ` + retention + `Monthly 6`},
		{set{"backupCompression": "0"}, `stateful-k3s:backupCompression: "0" is not a number from 1 to 19; for example: pulumi config set backupCompression 3`},
		{set{"backupCompression": "20"}, `stateful-k3s:backupCompression: "20" is not a number from 1 to 19; for example: pulumi config set backupCompression 3`},
		{set{"backupCompression": "22"}, `stateful-k3s:backupCompression: "22" is not a number from 1 to 19; for example: pulumi config set backupCompression 3`},
		{set{"archive": "on"}, `stateful-k3s:archive: "on" is not true or false; for example: pulumi config set archive false`},
		{set{"archive": "TRUE"}, `stateful-k3s:archive: "TRUE" is not true or false; for example: pulumi config set archive false`},
		{set{"archive": "yes"}, `stateful-k3s:archive: "yes" is not true or false; for example: pulumi config set archive false`},
		{set{"archive": ""}, `stateful-k3s:archive: "" is not true or false; for example: pulumi config set archive false`},
		{set{"archiveKeepDays": "0"}, `stateful-k3s:archiveKeepDays: "0" is not a number from 1 to 999; for example: pulumi config set archiveKeepDays 7`},
		{set{"archiveKeepDays": "1000"}, `stateful-k3s:archiveKeepDays: "1000" is not a number from 1 to 999; for example: pulumi config set archiveKeepDays 7`},
		{set{"s3PathStyle": "yes"}, `stateful-k3s:s3PathStyle: "yes" is not true or false; for example: pulumi config set s3PathStyle true`},
		{set{"redisPasswordVersion": ""}, `stateful-k3s:redisPasswordVersion: "" is not a value; for example: pulumi config set redisPasswordVersion 2`},
		{set{"redisPasswordVersion": " "}, `stateful-k3s:redisPasswordVersion: " " is not a value; for example: pulumi config set redisPasswordVersion 2`},
		{set{"postgresPasswordVersion": ""}, `stateful-k3s:postgresPasswordVersion: "" is not a value; for example: pulumi config set postgresPasswordVersion 2`},
		{set{"postgresTLSVersion": ""}, `stateful-k3s:postgresTLSVersion: "" is not a value; for example: pulumi config set postgresTLSVersion 2`},
		{set{"storageKeysVersion": ""}, `stateful-k3s:storageKeysVersion: "" is not a value; for example: pulumi config set storageKeysVersion 2`},
		{set{"storageTLSVersion": ""}, `stateful-k3s:storageTLSVersion: "" is not a value; for example: pulumi config set storageTLSVersion 2`},

		// Sizes
		{set{"redisMemory": "64MB"}, `stateful-k3s:redisMemory: "64MB" is not a Kubernetes quantity; ` + memory},
		{set{"redisMemory": "15Mi"}, `stateful-k3s:redisMemory: "15Mi" is not at least 16Mi; ` + memory},
		{set{"redisMemory": "64mb"}, `stateful-k3s:redisMemory: "64mb" is not a Kubernetes quantity; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": "0"}, `stateful-k3s:redisMemory: "0" is not at least 16Mi; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": "-1Gi"}, `stateful-k3s:redisMemory: "-1Gi" is not at least 16Mi; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": "1e400"}, `stateful-k3s:redisMemory: "1e400" is not at most 16Ti; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": " 64Mi"}, `stateful-k3s:redisMemory: " 64Mi" is not a Kubernetes quantity; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": "64Mi\n"}, `stateful-k3s:redisMemory: "64Mi\n" is not a Kubernetes quantity; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": "100000000Gi"}, `stateful-k3s:redisMemory: "100000000Gi" is not at most 16Ti; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": "67108864500m"}, `stateful-k3s:redisMemory: "67108864500m" is not a whole number of bytes; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": "NaN"}, `stateful-k3s:redisMemory: "NaN" is not a Kubernetes quantity; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": "1,5Gi"}, `stateful-k3s:redisMemory: "1,5Gi" is not a Kubernetes quantity; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisMemory": "64m"}, `stateful-k3s:redisMemory: "64m" is not at least 16Mi; for example: pulumi config set redisMemory 64Mi`},
		{set{"redisStorageSize": "100 MB"}, `stateful-k3s:redisStorageSize: "100 MB" is not a Kubernetes quantity; ` + storage},
		{set{"redisStorageSize": "-1Gi"}, `stateful-k3s:redisStorageSize: "-1Gi" is not at least 1Mi; ` + storage},
		{set{"redisStorageSize": "9999Ei"}, `stateful-k3s:redisStorageSize: "9999Ei" is not at most 1Pi; for example: pulumi config set redisStorageSize 100Mi`},
		{set{"postgresMemory": "64Mi"}, `stateful-k3s:postgresMemory: "64Mi" is not at least 128Mi; for example: pulumi config set postgresMemory 512Mi`},
		{set{"postgresMemory": "1e25"}, `stateful-k3s:postgresMemory: "1e25" is not at most 16Ti; for example: pulumi config set postgresMemory 512Mi`},
		{set{"postgresStorageSize": "1Mi"}, `stateful-k3s:postgresStorageSize: "1Mi" is not at least 256Mi; for example: pulumi config set postgresStorageSize 1Gi`},
		{set{"postgresStorageSize": "1e30"}, `stateful-k3s:postgresStorageSize: "1e30" is not at most 1Pi; for example: pulumi config set postgresStorageSize 1Gi`},
		{set{"postgresStorageSize": "1Gi "}, `stateful-k3s:postgresStorageSize: "1Gi " is not a Kubernetes quantity; for example: pulumi config set postgresStorageSize 1Gi`},
		{set{"backupScratchSize": "255Mi"}, `stateful-k3s:backupScratchSize: "255Mi" is not at least 256Mi; for example: pulumi config set backupScratchSize 4Gi`},
		{set{"backupMemory": "128Mi"}, `stateful-k3s:backupMemory: "128Mi" is not at least 256Mi; for example: pulumi config set backupMemory 512Mi`},
		{set{"storageSize": "1Mi"}, `stateful-k3s:storageSize: "1Mi" is not at least 256Mi; for example: pulumi config set storageSize 5Gi`},
		{set{"storageMemory": "32Mi"}, `stateful-k3s:storageMemory: "32Mi" is not at least 64Mi; for example: pulumi config set storageMemory 128Mi`},

		// Times
		{set{"dailyTodoSchedule": "hourly"}, `stateful-k3s:dailyTodoSchedule: "hourly" ` + cron},
		{set{"dailyTodoSchedule": "0 * * * * *"}, `stateful-k3s:dailyTodoSchedule: "0 * * * * *" ` + cron},
		{set{"dailyTodoSchedule": "TZ=UTC 0 * * * *"}, `stateful-k3s:dailyTodoSchedule: "TZ=UTC 0 * * * *" ` + cron},
		{set{"dailyTodoSchedule": "61 * * * *"}, `stateful-k3s:dailyTodoSchedule: "61 * * * *" is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoSchedule": "0 0 * * * *"}, `stateful-k3s:dailyTodoSchedule: "0 0 * * * *" is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoSchedule": "@every 1h"}, `stateful-k3s:dailyTodoSchedule: "@every 1h" is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoSchedule": "0 0 31 2 *"}, `stateful-k3s:dailyTodoSchedule: "0 0 31 2 *" is not a cron schedule of a day that there is; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoSchedule": "0 0 30 2 *"}, `stateful-k3s:dailyTodoSchedule: "0 0 30 2 *" is not a cron schedule of a day that there is; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoSchedule": "@reboot"}, `stateful-k3s:dailyTodoSchedule: "@reboot" is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoSchedule": " 0 * * * *"}, `stateful-k3s:dailyTodoSchedule: " 0 * * * *" is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoSchedule": "0 * * * *\n"}, `stateful-k3s:dailyTodoSchedule: "0 * * * *\n" is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoSchedule": "* * * *"}, `stateful-k3s:dailyTodoSchedule: "* * * *" is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoSchedule": "*/0 * * * *"}, `stateful-k3s:dailyTodoSchedule: "*/0 * * * *" is not a cron schedule of five fields; for example: pulumi config set dailyTodoSchedule "0 * * * *"`},
		{set{"dailyTodoTimeZone": ""}, `stateful-k3s:dailyTodoTimeZone: "" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{set{"dailyTodoTimeZone": "Local"}, `stateful-k3s:dailyTodoTimeZone: "Local" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{set{"dailyTodoTimeZone": "Helsinki"}, `stateful-k3s:dailyTodoTimeZone: "Helsinki" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{set{"dailyTodoTimeZone": "Europe / Helsinki"}, `stateful-k3s:dailyTodoTimeZone: "Europe / Helsinki" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{set{"dailyTodoTimeZone": "europe/helsinki"}, `stateful-k3s:dailyTodoTimeZone: "europe/helsinki" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{set{"dailyTodoTimeZone": "UTC+2"}, `stateful-k3s:dailyTodoTimeZone: "UTC+2" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{set{"dailyTodoTimeZone": "+02:00"}, `stateful-k3s:dailyTodoTimeZone: "+02:00" is not a time zone; for example: pulumi config set dailyTodoTimeZone Europe/Helsinki`},
		{set{"backupSchedule": "nightly"}, `stateful-k3s:backupSchedule: "nightly" is not a cron schedule of five fields; for example: pulumi config set backupSchedule "0 2 * * *"`},
		{set{"backupTimeZone": "Helsinki"}, `stateful-k3s:backupTimeZone: "Helsinki" is not a time zone; for example: pulumi config set backupTimeZone Europe/Helsinki`},
		{set{"backupTimeout": "1"}, `stateful-k3s:backupTimeout: "1" ` + timeout},
		{set{"backupTimeout": "59s"}, `stateful-k3s:backupTimeout: "59s" ` + timeout},
		{set{"backupTimeout": "25h"}, `stateful-k3s:backupTimeout: "25h" ` + timeout},
		{set{"backupTimeout": "1 h"}, `stateful-k3s:backupTimeout: "1 h" is not a time from 1m to 24h, in whole seconds; for example: pulumi config set backupTimeout 90m`},
		{set{"backupTimeout": "-1h"}, `stateful-k3s:backupTimeout: "-1h" is not a time from 1m to 24h, in whole seconds; for example: pulumi config set backupTimeout 90m`},
		{set{"backupTimeout": "1d"}, `stateful-k3s:backupTimeout: "1d" is not a time from 1m to 24h, in whole seconds; for example: pulumi config set backupTimeout 90m`},
		{set{"backupTimeout": "90"}, `stateful-k3s:backupTimeout: "90" is not a time from 1m to 24h, in whole seconds; for example: pulumi config set backupTimeout 90m`},
		{set{"backupTimeout": "1h30"}, `stateful-k3s:backupTimeout: "1h30" is not a time from 1m to 24h, in whole seconds; for example: pulumi config set backupTimeout 90m`},
		{set{"archiveTimeout": "0s"}, `stateful-k3s:archiveTimeout: "0s" is not a time from 1s to 1h, in whole seconds; for example: pulumi config set archiveTimeout 60s`},
		{set{"archiveTimeout": "61m"}, `stateful-k3s:archiveTimeout: "61m" is not a time from 1s to 1h, in whole seconds; for example: pulumi config set archiveTimeout 60s`},
		{set{"archiveTimeout": "1500ms"}, `stateful-k3s:archiveTimeout: "1500ms" is not a time from 1s to 1h, in whole seconds; for example: pulumi config set archiveTimeout 60s`},
		{set{"archiveTimeout": "10"}, `stateful-k3s:archiveTimeout: "10" is not a time from 1s to 1h, in whole seconds; for example: pulumi config set archiveTimeout 60s`},
		{set{"restoreFrom": "yesterday"}, `stateful-k3s:restoreFrom: "yesterday" ` + point + `restoreFrom latest`},
		{set{"restoreFrom": "2026-11-22 14:05:00"}, `stateful-k3s:restoreFrom: "2026-11-22 14:05:00" ` + point + `restoreFrom latest`},
		{set{"restoreFrom": "2999-01-01T00:00:00Z"}, `stateful-k3s:restoreFrom: "2999-01-01T00:00:00Z" is not a time in the past; for example: pulumi config set restoreFrom latest`},
		{set{"restoreFrom": "2026-11-22"}, `stateful-k3s:restoreFrom: "2026-11-22" is not latest, end, the name of a backup or an archive, or a time such as 2026-11-22T14:05:00Z; for example: pulumi config set restoreFrom latest`},
		{set{"restoreFrom": "Latest"}, `stateful-k3s:restoreFrom: "Latest" is not latest, end, the name of a backup or an archive, or a time such as 2026-11-22T14:05:00Z; for example: pulumi config set restoreFrom latest`},
		{set{"restoreFrom": "2026-11-22T14:05:00"}, `stateful-k3s:restoreFrom: "2026-11-22T14:05:00" is not latest, end, the name of a backup or an archive, or a time such as 2026-11-22T14:05:00Z; for example: pulumi config set restoreFrom latest`},
		{set{"restoreFrom": "2026-02-30T14:05:00Z"}, `stateful-k3s:restoreFrom: "2026-02-30T14:05:00Z" is not latest, end, the name of a backup or an archive, or a time such as 2026-11-22T14:05:00Z; for example: pulumi config set restoreFrom latest`},
		{set{"pingpongRestoreFrom": "20261122T020000Z"}, `stateful-k3s:pingpongRestoreFrom: "20261122T020000Z" ` + point + `pingpongRestoreFrom latest`},

		// Addresses
		{set{"registry": "team"}, `stateful-k3s:registry: "team" ` + registry},
		{set{"registry": "https://registry.example.com"}, `stateful-k3s:registry: "https://registry.example.com" ` + registry},
		{set{"registry": "registry.example.com/team/"}, `stateful-k3s:registry: "registry.example.com/team/" ` + registry},
		{set{"registry": "registry.example.com:99999/team"}, `stateful-k3s:registry: "registry.example.com:99999/team" is not a registry's host, with a path if it needs one; for example: pulumi config set registry registry.example.com/team`},
		{set{"registry": "registry.example.com:5000/Team"}, `stateful-k3s:registry: "registry.example.com:5000/Team" is not a registry's host, with a path if it needs one; for example: pulumi config set registry registry.example.com/team`},
		{set{"registry": "registry.example.com/team:1"}, `stateful-k3s:registry: "registry.example.com/team:1" is not a registry's host, with a path if it needs one; for example: pulumi config set registry registry.example.com/team`},
		{set{"registry": "user:pw@registry.example.com"}, `stateful-k3s:registry: "…@registry.example.com" is not a registry's host, with a path if it needs one; for example: pulumi config set registry registry.example.com/team`},
		{set{"registry": "registry.example.com "}, `stateful-k3s:registry: "registry.example.com " is not a registry's host, with a path if it needs one; for example: pulumi config set registry registry.example.com/team`},
		{set{"registry": "registry.example.com:"}, `stateful-k3s:registry: "registry.example.com:" is not a registry's host, with a path if it needs one; for example: pulumi config set registry registry.example.com/team`},
		{set{"articleUrl": ""}, `stateful-k3s:articleUrl: "" ` + article},
		{set{"articleUrl": "http://wiki.example.com/random"}, `stateful-k3s:articleUrl: "http://wiki.example.com/random" ` + article},
		{set{"articleUrl": "https:///random"}, `stateful-k3s:articleUrl: "https:///random" ` + article},
		{set{"articleUrl": "https://wiki.example.com:99999/"}, `stateful-k3s:articleUrl: "https://wiki.example.com:99999/" ` + article},
		{set{"articleUrl": "https://user:pw@x.example.com"}, `stateful-k3s:articleUrl: "https://…@x.example.com" is not an https address; for example: pulumi config set articleUrl https://en.wikipedia.org/wiki/Special:Random`},
		{set{"articleUrl": "https://x.example.com:0/"}, `stateful-k3s:articleUrl: "https://x.example.com:0/" is not an https address; for example: pulumi config set articleUrl https://en.wikipedia.org/wiki/Special:Random`},
		{set{"articleUrl": " https://x.example.com"}, `stateful-k3s:articleUrl: " https://x.example.com" is not an https address; for example: pulumi config set articleUrl https://en.wikipedia.org/wiki/Special:Random`},
		{set{"articleUrl": "https://x.example.com/a b"}, `stateful-k3s:articleUrl: "https://x.example.com/a b" is not an https address; for example: pulumi config set articleUrl https://en.wikipedia.org/wiki/Special:Random`},
		{set{"articleUrl": "https://x.example.com\n"}, `stateful-k3s:articleUrl: "https://x.example.com\n" is not an https address; for example: pulumi config set articleUrl https://en.wikipedia.org/wiki/Special:Random`},
		{set{"articleUrl": "https://-bad-/"}, `stateful-k3s:articleUrl: "https://-bad-/" is not an https address; for example: pulumi config set articleUrl https://en.wikipedia.org/wiki/Special:Random`},
		{set{"articleNetworks": "10.0.0.0"}, `stateful-k3s:articleNetworks: "10.0.0.0" ` + networks},
		{set{"articleNetworks": "10.0.0.1/8"}, `stateful-k3s:articleNetworks: "10.0.0.1/8" ` + networks},
		{set{"articleNetworks": "10.0.0.0/33"}, `stateful-k3s:articleNetworks: "10.0.0.0/33" is not a list of networks with spaces between them; for example: pulumi config set articleNetworks 10.0.0.0/8`},
		{set{"articleNetworks": "10.0.0.0/8,10.1.0.0/16"}, `stateful-k3s:articleNetworks: "10.0.0.0/8,10.1.0.0/16" is not a list of networks with spaces between them; for example: pulumi config set articleNetworks 10.0.0.0/8`},
		{set{"articleNetworks": "::ffff:10.0.0.0/104"}, `stateful-k3s:articleNetworks: "::ffff:10.0.0.0/104" is not a list of networks with spaces between them; for example: pulumi config set articleNetworks 10.0.0.0/8`},
		{set{"articleNetworks": "fe80::%eth0/64"}, `stateful-k3s:articleNetworks: "fe80::%eth0/64" is not a list of networks with spaces between them; for example: pulumi config set articleNetworks 10.0.0.0/8`},
		{set{"s3Endpoint": "http://s3.example.com"}, `stateful-k3s:s3Endpoint: "http://s3.example.com" ` + endpoint},
		{set{"s3Endpoint": "https://s3.example.com/backups"}, `stateful-k3s:s3Endpoint: "https://s3.example.com/backups" ` + endpoint},
		{set{"s3Endpoint": "https://key@s3.example.com"}, `stateful-k3s:s3Endpoint: "https://…@s3.example.com" ` + endpoint},
		{set{"s3Endpoint": "https://s3.example.com?a"}, `stateful-k3s:s3Endpoint: "https://s3.example.com?a" ` + endpoint},
		{set{"s3Endpoint": "s3.example.com"}, `stateful-k3s:s3Endpoint: "s3.example.com" ` + endpoint},
		{set{"s3Endpoint": "https://s3.example.com:443/x"}, `stateful-k3s:s3Endpoint: "https://s3.example.com:443/x" is not an https address without a path; for example: pulumi config set s3Endpoint https://s3.example.com`},
		{set{"s3Endpoint": "ftp://s3.example.com"}, `stateful-k3s:s3Endpoint: "ftp://s3.example.com" is not an https address without a path; for example: pulumi config set s3Endpoint https://s3.example.com`},
		{set{"s3Networks": "10.0.0.0"}, `stateful-k3s:s3Networks: "10.0.0.0" is not a list of networks with spaces between them; for example: pulumi config set s3Networks 10.0.0.0/8`},
		{set{"todoAllowedOrigins": ""}, `stateful-k3s:todoAllowedOrigins: "" ` + origins},
		{set{"todoAllowedOrigins": "todo.example.com"}, `stateful-k3s:todoAllowedOrigins: "todo.example.com" ` + origins},
		{set{"todoAllowedOrigins": "https://todo.example.com/"}, `stateful-k3s:todoAllowedOrigins: "https://todo.example.com/" ` + origins},
		{set{"todoAllowedOrigins": "* https://todo.example.com"}, `stateful-k3s:todoAllowedOrigins: "* https://todo.example.com" ` + origins},
		{set{"todoAllowedOrigins": "https://a.example.com, https://b.example.com"}, `stateful-k3s:todoAllowedOrigins: "https://a.example.com, https://b.example.com" is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`},
		{set{"todoAllowedOrigins": "https://*.example.com"}, `stateful-k3s:todoAllowedOrigins: "https://*.example.com" is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`},
		{set{"todoAllowedOrigins": "https://todo.example.com:443"}, `stateful-k3s:todoAllowedOrigins: "https://todo.example.com:443" is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`},
		{set{"todoAllowedOrigins": "https://TODO.example.com"}, `stateful-k3s:todoAllowedOrigins: "https://TODO.example.com" is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`},
		{set{"todoAllowedOrigins": "null"}, `stateful-k3s:todoAllowedOrigins: "null" is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`},
		{set{"todoAllowedOrigins": "* https://a.example.com"}, `stateful-k3s:todoAllowedOrigins: "* https://a.example.com" is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`},
		{set{"todoAllowedOrigins": "https://todo.example.com:99999"}, `stateful-k3s:todoAllowedOrigins: "https://todo.example.com:99999" is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`},
		{set{"todoOwnOrigins": "*"}, `stateful-k3s:todoOwnOrigins: "*" ` + own},
		{set{"todoOwnOrigins": " "}, `stateful-k3s:todoOwnOrigins: " " ` + own},
		{set{"todoOwnOrigins": "todo.example.com"}, `stateful-k3s:todoOwnOrigins: "todo.example.com" ` + own},
		{set{"todoOwnOrigins": "https://todo.example.com/"}, `stateful-k3s:todoOwnOrigins: "https://todo.example.com/" ` + own},
		{set{"todoOwnOrigins": "http://a.example.com, http://b.example.com"}, `stateful-k3s:todoOwnOrigins: "http://a.example.com, http://b.example.com" ` + own},
		{set{"todoAllowedOrigins": "http://a.example.com:80"}, `stateful-k3s:todoAllowedOrigins: "http://a.example.com:80" is not * or origins with spaces between them; for example: pulumi config set todoAllowedOrigins https://todo.example.com`},

		// Images
		{set{"redisImage": ""}, `stateful-k3s:redisImage: "" is not an image; for example: pulumi config set redisImage redis:8`},
		{set{"redisImage": "Redis"}, `stateful-k3s:redisImage: "Redis" is not an image; for example: pulumi config set redisImage redis:8`},
		{set{"redisImage": "Redis:8"}, `stateful-k3s:redisImage: "Redis:8" is not an image; for example: pulumi config set redisImage redis:8`},
		{set{"redisImage": "redis"}, `stateful-k3s:redisImage: "redis" is not an image with its version; for example: pulumi config set redisImage redis:8`},
		{set{"redisImage": "redis:8@sha256:abc"}, `stateful-k3s:redisImage: "redis:8@sha256:abc" is not an image; for example: pulumi config set redisImage redis:8`},
		{set{"redisImage": "redis:"}, `stateful-k3s:redisImage: "redis:" is not an image; for example: pulumi config set redisImage redis:8`},
		{set{"redisImage": "redis:8 "}, `stateful-k3s:redisImage: "redis:8 " is not an image; for example: pulumi config set redisImage redis:8`},
		{set{"redisImage": "https://redis"}, `stateful-k3s:redisImage: "https://redis" is not an image; for example: pulumi config set redisImage redis:8`},
		{set{"redisImage": "registry.example.com:99999/redis:8"}, `stateful-k3s:redisImage: "registry.example.com:99999/redis:8" is not an image; for example: pulumi config set redisImage redis:8`},
		{set{"postgresImage": "Postgres"}, `stateful-k3s:postgresImage: "Postgres" is not an image; for example: pulumi config set postgresImage postgres:17`},
		{set{"postgresImage": "postgres"}, `stateful-k3s:postgresImage: "postgres" is not an image with its version; for example: pulumi config set postgresImage postgres:17`},
		{set{"postgresImage": "postgres:16"}, `stateful-k3s:postgresImage: "postgres:16" is not an image of PostgreSQL 17 or newer on Debian; for example: pulumi config set postgresImage postgres:17`},
		{set{"postgresImage": "postgres:17-alpine"}, `stateful-k3s:postgresImage: "postgres:17-alpine" is not an image of PostgreSQL 17 or newer on Debian; for example: pulumi config set postgresImage postgres:17`},
		{set{"postgresImage": "postgres:latest"}, `stateful-k3s:postgresImage: "postgres:latest" is not an image with its version; for example: pulumi config set postgresImage postgres:17`},

		// Secrets, keys and certificates
		{set{"redisPassword": "short"}, password},
		{set{"redisPassword": "correct horse"}, password},
		{set{"redisPassword": "correct-horse\x00"}, password},
		{set{"redisPassword": strings.Repeat("x", 129)}, password},
		{set{"redisPassword": "pass word"}, `stateful-k3s:redisPassword: not 8 to 128 printable ASCII characters without spaces; for example: pulumi config set --secret redisPassword "$(openssl rand -hex 16)"`},
		{set{"redisPassword": "pässwörter"}, `stateful-k3s:redisPassword: not 8 to 128 printable ASCII characters without spaces; for example: pulumi config set --secret redisPassword "$(openssl rand -hex 16)"`},
		{set{"postgresPassword": "short"}, strings.Replace(password, "redisPassword", "postgresPassword", 2)},
		{set{"postgresReaderPassword": "short"}, strings.Replace(password, "redisPassword", "postgresReaderPassword", 2)},
		{set{"archivePassphrase": "short"}, strings.Replace(password, "redisPassword", "archivePassphrase", 2)},
		{set{"registryPassword": " "}, `stateful-k3s:registryPassword: not a value; for example: pulumi config set --secret registryPassword`},
		{set{"backupRecipient": "age1"}, `stateful-k3s:backupRecipient: "age1" ` + recipient},
		{set{"backupRecipient": ageKey + "q"}, `stateful-k3s:backupRecipient: "` + ageKey + `q" ` + recipient},
		{set{"restoreIdentity": ageKey}, `stateful-k3s:restoreIdentity: not a private key of age; for example: pulumi config set --secret restoreIdentity "$(grep AGE-SECRET-KEY key.txt)"`},
		{set{"restoreIdentity": "key.txt"}, `stateful-k3s:restoreIdentity: not a private key of age; for example: pulumi config set --secret restoreIdentity "$(grep AGE-SECRET-KEY key.txt)"`},
		{set{"articleCA": "ca.crt"}, `stateful-k3s:articleCA: "ca.crt" is not certificates in PEM; for example: pulumi config set articleCA "$(cat ca.crt)"`},
		{set{"s3CA": "ca.crt"}, `stateful-k3s:s3CA: "ca.crt" is not certificates in PEM; for example: pulumi config set s3CA "$(cat ca.crt)"`},
		{set{"s3CA": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"}, `stateful-k3s:s3CA: "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----" is not certificates in PEM; for example: pulumi config set s3CA "$(cat ca.crt)"`},

		// Lists
		{set{"postgresParameters": "port=1"}, `stateful-k3s:postgresParameters: "port=1" is not a list of name=value with semicolons between them: port is not yours to set; for example: pulumi config set postgresParameters "work_mem=8MB; log_min_duration_statement=250ms"`},
		{set{"postgresParameters": "work_mem"}, `stateful-k3s:postgresParameters: "work_mem" is not a list of name=value with semicolons between them: "work_mem" has no value; for example: pulumi config set postgresParameters "work_mem=8MB; log_min_duration_statement=250ms"`},
		{set{"postgresParameters": "work_mem=8MB, jit=off"}, `stateful-k3s:postgresParameters: work_mem: "8MB, jit=off" is not a size such as 64MB; for example: pulumi config set postgresParameters "shared_buffers=128MB; max_connections=100"`},
		{set{"postgresParameters": "work_mem = "}, `stateful-k3s:postgresParameters: work_mem: "" is not a size such as 64MB; for example: pulumi config set postgresParameters "shared_buffers=128MB; max_connections=100"`},
		{set{"postgresParameters": "max_connections=ten"}, `stateful-k3s:postgresParameters: max_connections: "ten" is not a number; for example: pulumi config set postgresParameters "shared_buffers=128MB; max_connections=100"`},
		{set{"postgresParameters": "include=x"}, `stateful-k3s:postgresParameters: "include=x" is not a list of name=value with semicolons between them: include is not yours to set; for example: pulumi config set postgresParameters "work_mem=8MB; log_min_duration_statement=250ms"`},
		{set{"postgresParameters": "Work_Mem=8MB"}, `stateful-k3s:postgresParameters: "Work_Mem=8MB" is not a list of name=value with semicolons between them: "Work_Mem" is not a parameter's name, in small letters; for example: pulumi config set postgresParameters "work_mem=8MB; log_min_duration_statement=250ms"`},
		{set{"postgresParameters": "jit=off; jit=on"}, `stateful-k3s:postgresParameters: "jit=off; jit=on" is not a list of name=value with semicolons between them: jit is set twice; for example: pulumi config set postgresParameters "work_mem=8MB; log_min_duration_statement=250ms"`},
		{set{"postgresParameters": "shared_buffers=big"}, `stateful-k3s:postgresParameters: shared_buffers: "big" is not a size such as 64MB; for example: pulumi config set postgresParameters "shared_buffers=128MB; max_connections=100"`},
		{set{"restoreOver": "postgres"}, `stateful-k3s:restoreOver: "postgres" ` + over},
		{set{"restoreOver": "pingpong,todo"}, `stateful-k3s:restoreOver: "pingpong,todo" ` + over},

		// Contradictions
		{set{"registry": ""}, `stateful-k3s:registry: not set, and $STATEFUL_K3S_REGISTRY is not either; for example: pulumi config set registry registry.example.com/team`},
		{set{"registryUsername": "alice"}, `stateful-k3s:registryPassword: not set, though registryUsername is; set it with: pulumi config set --secret registryPassword`},
		{set{"registryPassword": "push it"}, `stateful-k3s:registryUsername: not set, though registryPassword is; for example: pulumi config set registryUsername alice`},
		{set{"pullUsername": "alice"}, `stateful-k3s:pullPassword: not set, though pullUsername is; set it with: pulumi config set --secret pullPassword`},
		{set{"pullPassword": "pull it"}, `stateful-k3s:pullUsername: not set, though pullPassword is; for example: pulumi config set pullUsername alice`},
		{set{"restoreFrom": "end-7711158423862165527"}, `stateful-k3s:restoreFrom: end-7711158423862165527 is of one database; for example: pulumi config set pingpongRestoreFrom end-7711158423862165527`},
		{set{"todoRestoreFrom": "end-latest"}, `stateful-k3s:todoRestoreFrom: "end-latest" ` + point + `todoRestoreFrom latest`},
		{set{"restoreFrom": "20261122T020000Z-1a2b3c"}, `stateful-k3s:restoreFrom: 20261122T020000Z-1a2b3c is of one database; for example: pulumi config set pingpongRestoreFrom 20261122T020000Z-1a2b3c`},
		{set{"restoreOver": "todo"}, `stateful-k3s:restoreOver: names todo` + nothing + `todoRestoreFrom latest, or pulumi config rm restoreOver`},
		{set{"backupRecipient": ageKey}, `stateful-k3s:archivePassphrase: not set, though backupRecipient is, so that the archive would hold in plain text what backups hold encrypted; ` +
			`set it with: pulumi config set --secret archivePassphrase "$(openssl rand -hex 16)", or have no archive: pulumi config set archive false`},
		{set{"s3Endpoint": "https://s3.example.com"}, `stateful-k3s:s3AccessKey: not set, though s3Endpoint is; set it with: pulumi config set --secret s3AccessKey
stateful-k3s:s3SecretKey: not set, though s3Endpoint is; set it with: pulumi config set --secret s3SecretKey`},
		{set{"s3AccessKey": "key"}, `stateful-k3s:s3Endpoint: not set, though s3AccessKey is` + elsewhere},
		{set{"s3SecretKey": "key"}, `stateful-k3s:s3Endpoint: not set, though s3SecretKey is` + elsewhere},
		{set{"s3Networks": "10.0.0.0/8"}, `stateful-k3s:s3Endpoint: not set, though s3Networks is` + elsewhere},
		{set{"s3CA": newAuthority(t)}, `stateful-k3s:s3Endpoint: not set, though s3CA is` + elsewhere},
		{set{"ingressTLSSecret": "todo-tls"}, `stateful-k3s:ingressHost: not set, though ingressTLSSecret is; for example: pulumi config set ingressHost todo.example.com`},
		{set{"namePrefix": "alice-"}, `stateful-k3s:ingressHost: not set, though namePrefix is: stacks that share a cluster need names of their own; for example: pulumi config set ingressHost alice.example.com`},
		{set{"redisMemory": "1.5Gi"}, `stateful-k3s:redisStorageSize: "100Mi" is not at least one and a half times redisMemory, which is 1.5Gi; for example: pulumi config set redisStorageSize 2304Mi`},
		{set{"postgresParameters": "max_connections=5"}, `stateful-k3s:pingpongReplicas: 2 pods need 27 connections of Postgres, which has 5; for example: pulumi config set postgresMemory 512Mi, or max_connections=27 in postgresParameters
stateful-k3s:todoBackendReplicas: 2 pods need 27 connections of Postgres, which has 5; for example: pulumi config set postgresMemory 512Mi, or max_connections=27 in postgresParameters`},
		{set{"postgresParameters": "shared_buffers=10GB"}, `stateful-k3s:postgresParameters: shared_buffers: 10GB does not fit into postgresMemory, 512Mi; for example: pulumi config set postgresParameters "shared_buffers=128MB; max_connections=100"`},
		{set{"pullPassword": "x"}, `stateful-k3s:pullUsername: not set, though pullPassword is; for example: pulumi config set pullUsername alice`},
		{set{"registryUsername": "a:b", "registryPassword": "x"}, `stateful-k3s:registryUsername: "a:b" is not a user's name, without a colon; for example: pulumi config set registryUsername alice`},
		{set{"postgresMemory": "128Mi", "pingpongReplicas": "20"}, `stateful-k3s:pingpongReplicas: 20 pods need 117 connections of Postgres, which has 32; for example: pulumi config set postgresMemory 512Mi, or max_connections=117 in postgresParameters`},
		{set{"postgresMemory": "128Mi", "todoBackendReplicas": "7"}, `stateful-k3s:todoBackendReplicas: 7 pods need 52 connections of Postgres, which has 32; for example: pulumi config set postgresMemory 512Mi, or max_connections=52 in postgresParameters`},
		{set{"redisMemory": "1Gi"}, `stateful-k3s:redisStorageSize: "100Mi" is not at least one and a half times redisMemory, which is 1Gi; for example: pulumi config set redisStorageSize 1536Mi`},
		{set{"redisStorageSize": "50Mi"}, `stateful-k3s:redisStorageSize: "50Mi" is not at least one and a half times redisMemory, which is 64Mi; for example: pulumi config set redisStorageSize 96Mi`},
		{set{"s3Prefix": "house"}, `stateful-k3s:s3Endpoint: not set, though s3Prefix is; for example: pulumi config set s3Endpoint https://s3.example.com`},
		{set{"s3Endpoint": "https://10.0.0.5:9000", "s3AccessKey": "a", "s3SecretKey": "b"}, `stateful-k3s:s3Networks: not set, though s3Endpoint is in a private network; for example: pulumi config set s3Networks 10.0.0.5/32`},
		{set{"articleUrl": "https://192.168.1.7/x"}, `stateful-k3s:articleNetworks: not set, though articleUrl is in a private network; for example: pulumi config set articleNetworks 192.168.1.7/32`},
		{set{"articleUrl": "https://[fd00::1]/x"}, `stateful-k3s:articleNetworks: not set, though articleUrl is in a private network; for example: pulumi config set articleNetworks fd00::1/128`},
		{set{"ingressClass": "none", "ingressHost": "a.example.com"}, `stateful-k3s:ingressHost: set, though ingressClass is none; for example: pulumi config rm ingressHost`},
		{set{"ingressClass": "none", "ingressNetworks": "10.0.0.0/16"}, `stateful-k3s:ingressNetworks: set, though ingressClass is none; for example: pulumi config rm ingressNetworks`},
		{set{"ingressClass": "none", "ingressTLSSecret": "a"}, `stateful-k3s:ingressTLSSecret: set, though ingressClass is none; for example: pulumi config rm ingressTLSSecret`},
		{set{"postgresParameters": "shared_buffers=512MB"}, `stateful-k3s:postgresParameters: shared_buffers: 512MB does not fit into postgresMemory, 512Mi; for example: pulumi config set postgresParameters "shared_buffers=128MB; max_connections=100"`},
		{set{"postgresParameters": "max_connections=20"}, `stateful-k3s:pingpongReplicas: 2 pods need 27 connections of Postgres, which has 20; for example: pulumi config set postgresMemory 512Mi, or max_connections=27 in postgresParameters
stateful-k3s:todoBackendReplicas: 2 pods need 27 connections of Postgres, which has 20; for example: pulumi config set postgresMemory 512Mi, or max_connections=27 in postgresParameters`},
		{set{"postgresMemory": "128Mi", "pingpongReplicas": "5"}, `stateful-k3s:pingpongReplicas: 5 pods need 42 connections of Postgres, which has 32; for example: pulumi config set postgresMemory 512Mi, or max_connections=42 in postgresParameters`},

		{set{"redisPassword": "hunter2-hunter2", "secretVersions": "redis-password=2"}, `stateful-k3s:secretVersions: redis-password has a version, which is without effect since redisPassword` + unneeded},
		{set{"postgresPassword": "hunter2-hunter2", "secretVersions": "todo-owner=2"}, `stateful-k3s:secretVersions: todo-owner has a version, which is without effect since postgresPassword` + unneeded},
		{set{"pingpongPostgresPassword": "hunter2-hunter2", "secretVersions": "pingpong-owner=2"}, `stateful-k3s:secretVersions: pingpong-owner has a version, which is without effect since pingpongPostgresPassword` + unneeded},
		{set{"postgresReaderPassword": "hunter2-hunter2", "secretVersions": "pingpong-reader=2"}, `stateful-k3s:secretVersions: pingpong-reader has a version, which is without effect since postgresReaderPassword` + unneeded},
		{set{"todoPostgresReaderPassword": "hunter2-hunter2", "secretVersions": "todo-reader=2"}, `stateful-k3s:secretVersions: todo-reader has a version, which is without effect since todoPostgresReaderPassword` + unneeded},
		{set{"s3Endpoint": "https://s3.example.com", "s3AccessKey": "key", "s3SecretKey": "key", "secretVersions": "storage-project-key=2"}, `stateful-k3s:secretVersions: storage-project-key has a version, which is without effect since s3Endpoint` + unneeded},

		{set{"kubeContext": " "}, `stateful-k3s:kubeContext: " " is not a value; for example: pulumi config set kubeContext my-cluster`},
		{set{"kubeconfig": "~/.kube/config"}, `stateful-k3s:kubeconfig: not the text of a kubeconfig; for example: pulumi config set --secret kubeconfig "$(kubectl config view --raw --minify --flatten)"`},
		{set{"kubeconfigFrom": "cluster/prod"}, `stateful-k3s:kubeconfigFrom: "cluster/prod" is not organization/project/stack/output; for example: pulumi config set kubeconfigFrom alice/cluster/prod/kubeconfig`},
		{set{"kubeconfig": kubeconfig, "kubeconfigFrom": "alice/cluster/prod/kubeconfig"}, `stateful-k3s:kubeconfigFrom: set, though kubeconfig is; for example: pulumi config rm kubeconfigFrom`},
		{set{"kubernetes:context": "prod"}, `kubernetes:context: has no effect on this stack, whose cluster is chosen with kubeContext, kubeconfig or kubeconfigFrom; for example: pulumi config set kubeContext my-cluster. To remove it: pulumi config rm kubernetes:context`},
		{set{"kubernetes:kubeconfig": "/etc/rancher/k3s/k3s.yaml"}, `kubernetes:kubeconfig: has no effect on this stack, whose cluster is chosen with kubeContext, kubeconfig or kubeconfigFrom; for example: pulumi config set kubeContext my-cluster. To remove it: pulumi config rm kubernetes:kubeconfig`},

		// Unknown settings
		{set{"redisStorgeSize": "1Gi"}, `stateful-k3s:redisStorgeSize: no such setting; did you mean redisStorageSize? To remove it: pulumi config rm redisStorgeSize`},
		{set{"Registry": "x"}, `stateful-k3s:Registry: no such setting; did you mean registry? To remove it: pulumi config rm Registry`},
		{set{"redisPass": "x"}, `stateful-k3s:redisPass: no such setting; did you mean redisPassword? To remove it: pulumi config rm redisPass`},
		{set{"redis": "x"}, `stateful-k3s:redis: no such setting; did you mean redisImage or registry? To remove it: pulumi config rm redis`},
		{set{"dailyTodoTimezone": "x"}, `stateful-k3s:dailyTodoTimezone: no such setting; did you mean dailyTodoTimeZone? To remove it: pulumi config rm dailyTodoTimezone`},
		{set{"redisPasword": "x"}, `stateful-k3s:redisPasword: no such setting; did you mean redisPassword? To remove it: pulumi config rm redisPasword`},
		{set{"s3_bucket": "x"}, `stateful-k3s:s3_bucket: no such setting; did you mean s3Bucket? To remove it: pulumi config rm s3_bucket`},
		{set{"archiveKeepdays": "3"}, `stateful-k3s:archiveKeepdays: no such setting; did you mean archiveKeepDays? To remove it: pulumi config rm archiveKeepdays`},
		{set{"replicas": "3"}, `stateful-k3s:replicas: no such setting; did you mean pingpongReplicas? To remove it: pulumi config rm replicas`},
		{set{"redis_memory": "x"}, `stateful-k3s:redis_memory: no such setting; did you mean redisMemory? To remove it: pulumi config rm redis_memory`},
		{set{"postgres": "x"}, `stateful-k3s:postgres: no such setting; did you mean postgresImage? To remove it: pulumi config rm postgres`},
	} {
		t.Run(fmt.Sprint(test.settings), func(t *testing.T) {
			noEnvironment(t)
			settings := set{"registry": "registry.example.com"}
			maps.Copy(settings, test.settings)
			_, err := load(t, settings, secrets...)
			require.EqualError(t, err, test.message)
		})
	}
}

func TestSecretsThatAreNotEncrypted(t *testing.T) {
	noEnvironment(t)
	for _, key := range secrets {
		_, err := load(t, set{"registry": "registry.example.com", key: "hunter2-hunter2"})
		require.EqualError(t, err, "stateful-k3s:"+key+": not encrypted; encrypt it with: pulumi config set --secret "+key)
	}
}

// What was typed where it does not belong is not shown to those who read the log of an update.
func TestMessagesShowNoSecret(t *testing.T) {
	noEnvironment(t)
	for _, test := range []struct{ key, value, shown string }{
		{"articleUrl", "https://alice:hunter2@wiki.example.com", `"https://…@wiki.example.com"`},
		{"s3Endpoint", "https://hunter2@s3.example.com", `"https://…@s3.example.com"`},
		{"registry", "alice:hunter2@registry.example.com:5000/team", `"…@registry.example.com:5000/team"`},
		{"backupRecipient", ageIdentity, `"…"`},
	} {
		_, err := load(t, set{"registry": "registry.example.com", test.key: test.value}, secrets...)
		require.ErrorContains(t, err, "stateful-k3s:"+test.key+": "+test.shown+" is not ")
		require.NotContains(t, err.Error(), "hunter2")
	}
}
