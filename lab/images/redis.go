package images

import v1 "github.com/google/go-containerregistry/pkg/v1"

// Valkey is the image of Valkey that the lab can assemble.
const Valkey = "valkey/valkey:9.1"

// redis returns an image with a server that runs as uid 999 in /data.
// Contract: https://hub.docker.com/_/redis
func redis() Image {
	return keyValue(stable, "redis:8", "redis", []string{"redis-server"})
}

// valkey has Redis' names for the programs too.
// Contract: https://hub.docker.com/r/valkey/valkey
func valkey() Image {
	return keyValue(next, Valkey, "valkey",
		[]string{"valkey-server", "systemd-standalone-sysusers", "systemd-standalone-tmpfiles"},
		"for program in server cli check-rdb check-aof benchmark; do "+
			"ln -s valkey-$program $1/usr/bin/redis-$program; done")
}

func keyValue(suite, image, user string, packages []string, hooks ...string) Image {
	hooks = append([]string{
		"rm -f $1/etc/" + user + "/" + user + ".conf",
		"mkdir -p $1/data && chown 999:999 $1/data",
	}, hooks...)
	return debian(suite, image, packages, hooks, v1.Config{
		Env: []string{path}, WorkingDir: "/data", Cmd: []string{user + "-server"},
		Volumes: map[string]struct{}{"/data": {}}, ExposedPorts: map[string]struct{}{"6379/tcp": {}},
	}, "echo "+user+":x:999: >> $1/etc/group",
		"echo "+user+":x:999:999::/nonexistent:/usr/sbin/nologin >> $1/etc/passwd")
}
