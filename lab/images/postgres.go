package images

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// DefaultPostgres is the major version of a stack whose settings name none.
const DefaultPostgres = 18

// postgresSuites are the suites of Debian that have a major version of Postgres.
var postgresSuites = map[int]string{17: stable, 18: next}

// Postgres returns an image that has the server's programs on PATH, runs as uid 999 and stops with SIGINT.
// Assembled, it lacks the entrypoint script and the compiler for queries (160 MB): Postgres interprets them.
// Contract: https://hub.docker.com/_/postgres
func Postgres(major int) Image {
	suite, version, data := postgresSuites[major], strconv.Itoa(major), "/var/lib/postgresql/data"
	volume := data
	if major >= 18 {
		data, volume = "/var/lib/postgresql/"+version+"/docker", "/var/lib/postgresql"
	}
	programs := "/usr/lib/postgresql/" + version
	hooks := []string{
		"rm -rf $1/etc/postgresql $1/var/lib/postgresql/" + version + " $1/usr/lib/*/libLLVM* " +
			"$1/usr/lib/*/libz3* $1" + programs + "/lib/bitcode $1" + programs + "/lib/llvmjit*",
		"install -d -o 999 -g 999 -m 1777 $1" + volume,
	}
	packages := []string{"postgresql-" + version}
	if suite != stable {
		// For a server of the stable suite, which pg_upgrade of CloudNativePG starts in this image.
		packages = append(packages, "libicu76", "libxml2", "libcap2")
	}
	image := debian(suite, "postgres:"+version, packages, hooks, v1.Config{
		Env: []string{
			"PATH=" + strings.TrimPrefix(path, "PATH=") + ":" + programs + "/bin",
			"PG_MAJOR=" + version, "PGDATA=" + data, "LANG=C.UTF-8",
		},
		Cmd: []string{"postgres"}, StopSignal: "SIGINT",
		Volumes:      map[string]struct{}{volume: {}},
		ExposedPorts: map[string]struct{}{"5432/tcp": {}},
	}, "echo postgres:x:999: >> $1/etc/group",
		"echo postgres:x:999:999::/var/lib/postgresql:/bin/bash >> $1/etc/passwd")
	if suite == "" {
		image.write = func(context.Context, io.Writer) error {
			return fmt.Errorf("the lab knows no suite of Debian with Postgres %d: take another version, or let %s "+
				"name a registry that has the image", major, Setting)
		}
	}
	return image
}
