package redis_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// volume is a folder that servers of several versions start on.
type volume struct {
	t   *testing.T
	dir string
	env []string
}

// newVolume has data as a server has written it whose base file begins with these bytes.
func newVolume(t *testing.T, begin string) *volume {
	v := &volume{t: t, dir: t.TempDir()}
	if begin != "" {
		require.NoError(t, os.Mkdir(v.path("appendonlydir"), 0o700))
		v.write("appendonlydir/appendonly.aof.2.base.rdb", begin+"\xfa\x0aredis-bits\xc0@")
		v.write("appendonlydir/appendonly.aof.2.incr.aof", "*1\r\n$4\r\nPING\r\n")
		v.write("appendonlydir/appendonly.aof.manifest", "file appendonly.aof.2.base.rdb seq 2 type b\n"+
			"file appendonly.aof.2.incr.aof seq 2 type i startoffset 2 endoffset 3\n")
	}
	return v
}

const (
	ofRedis7  = "REDIS0010\xfa\x09redis-ver\x067.0.15"
	ofRedis8  = "REDIS0012\xfa\x09redis-ver\x058.0.2"
	ofValkey9 = "VALKEY080\xfa\x0avalkey-ver\x059.1.2"
)

func (v *volume) path(name string) string { return filepath.Join(v.dir, name) }

func (v *volume) write(name, content string) {
	require.NoError(v.t, os.WriteFile(v.path(name), []byte(content), 0o600))
}

func (v *volume) read(name string) string {
	content, err := os.ReadFile(v.path(name))
	require.NoError(v.t, err)
	return string(content)
}

// names are the folders of the volume, without the time in their names.
func (v *volume) names() (names []string) {
	entries, err := os.ReadDir(v.dir)
	require.NoError(v.t, err)
	for _, entry := range entries {
		name, _, _ := strings.Cut(entry.Name(), "-left-")
		names = append(names, name)
	}
	return slices.Compact(names)
}

// start runs start.sh with a server that writes nothing. Each of programs, NAME=SCRIPT, replaces one of the
// machine.
func (v *volume) start(server string, programs ...string) (output string, err error) {
	bin := v.t.TempDir()
	for _, program := range append([]string{
		"redis-server=[ \"$1\" != --version ] || { echo '" + server + " sha=0'; exit; }; echo runs \"$@\"",
		"redis-check-rdb=echo RDB looks OK",
	}, programs...) {
		name, script, _ := strings.Cut(program, "=")
		require.NoError(v.t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	start := exec.Command("sh", "start.sh", v.path("appendonlydir"), "redis-server", "redis.conf")
	start.Env = append(append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")), v.env...)
	out, err := start.CombinedOutput()
	return string(out), err
}

func (v *volume) requireStart(server string) string {
	v.t.Helper()
	output, err := v.start(server)
	require.NoError(v.t, err, output)
	require.Contains(v.t, output, "runs redis.conf")
	return output
}

func (v *volume) requireRefusal(server, want string, programs ...string) {
	v.t.Helper()
	before := v.names()
	output, err := v.start(server, programs...)
	require.Error(v.t, err)
	require.Contains(v.t, output, want)
	require.NotContains(v.t, output, "runs")
	require.Equal(v.t, before, v.names())
}

const (
	redis7  = "Redis server v=7.4.1"
	redis8  = "Redis server v=8.0.2"
	redis9  = "Redis server v=9.0.0"
	valkey9 = "Valkey server v=9.1.2"
)

func TestANewMajorVersionKeepsACopyAndGoesBackToIt(t *testing.T) {
	v := newVolume(t, ofRedis7)
	const incr = "/appendonly.aof.2.incr.aof"
	before := v.read("appendonlydir" + incr)
	require.Equal(t, "runs redis.conf\n", v.requireStart(redis7))
	require.Equal(t, "redis-7\n", v.read("appendonlydir/version"))
	v.requireStart("Redis server v=7.2.0")
	require.Equal(t, []string{"appendonlydir"}, v.names(), "a minor version keeps no copy")

	v.requireStart(redis8)
	require.Equal(t, []string{"appendonlydir", "appendonlydir-redis-7"}, v.names())
	require.Equal(t, "redis-8\n", v.read("appendonlydir/version"))
	v.write("appendonlydir"+incr, before+"since the move")
	v.requireStart(redis8)
	require.Equal(t, before, v.read("appendonlydir-redis-7"+incr))
	require.Equal(t, "redis-7\n", v.read("appendonlydir-redis-7/version"))

	v.requireRefusal(redis7, "the data is of redis-8, and "+v.path("appendonlydir-redis-7")+
		" has what was there before: to go back to that, without what was written since, set redisGoBack to true")
	v.env = []string{"GO_BACK=true"}
	v.requireStart(redis7)
	require.Equal(t, before, v.read("appendonlydir"+incr))
	require.Equal(t, []string{"appendonlydir"}, v.names()[:1])
	left, err := filepath.Glob(v.path("appendonlydir-left-*"))
	require.NoError(t, err)
	require.Len(t, left, 1)
	content, err := os.ReadFile(left[0] + incr)
	require.NoError(t, err)
	require.Equal(t, before+"since the move", string(content))

	v.write("appendonlydir"+incr, before+"after going back")
	v.requireStart(redis8)
	require.Equal(t, before+"after going back", v.read("appendonlydir"+incr), "it moves again, with what is new")
	require.Equal(t, before+"after going back", v.read("appendonlydir-redis-7"+incr))
}

func TestServersRefuseDataTheyCannotBeginOn(t *testing.T) {
	newVolume(t, ofRedis8).requireRefusal(redis7,
		"the data is of redis-8, and redis-7 is older: take an image of redis-8")
	newVolume(t, ofValkey9).requireRefusal(redis8,
		"redis-8 can't read the data of valkey-9: take an image of valkey-9; [offset 9] Wrong signature",
		"redis-check-rdb=echo '[offset 0] Checking\n[offset 9] Wrong signature'; exit 1")
	newVolume(t, ofRedis8).requireRefusal(redis9, "lacks room: ",
		"df=echo Filesystem; echo /dev/sda 100 99 1 99% /data")
	newVolume(t, ofRedis8).requireRefusal(redis9, "No space left on device\nstart: redis-9 keeps a copy",
		`cp=mkdir "$3" && echo No space left on device >&2; exit 1`)
}

func TestNewVolumesAndUnknownServersJustStart(t *testing.T) {
	v := newVolume(t, "")
	require.Equal(t, "runs redis.conf\n", v.requireStart(redis8))
	require.Equal(t, "redis-8\n", v.read("appendonlydir/version"))
	v = newVolume(t, ofRedis8)
	require.Equal(t, "runs redis.conf\n", v.requireStart("a fork v=1.0"))
	require.NoFileExists(t, v.path("appendonlydir/version"))
}

// Valkey reads what Redis 8 has written if it is told to, and needs no such option for anything else.
func TestValkeyIsToldToReadRedis(t *testing.T) {
	const option = "runs redis.conf --rdb-version-check relaxed\n"
	v := newVolume(t, ofRedis8)
	require.Contains(t, v.requireStart(valkey9), option)
	require.Equal(t, []string{"appendonlydir", "appendonlydir-redis-8"}, v.names())
	require.Equal(t, option, v.requireStart(valkey9), "until it has written a base file of its own")
	for _, begin := range []string{ofRedis7, ofValkey9} {
		require.NotContains(t, newVolume(t, begin).requireStart(valkey9), "relaxed")
	}
}

// Whatever step a move or a way back is killed at, the next start ends it.
func TestKilledMovesGoOn(t *testing.T) {
	const program = `case "$*" in *%s*) kill -9 $PPID; exit 1;; esac; exec /bin/%s "$@"`
	kill := func(command, when string) string { return command + "=" + fmt.Sprintf(program, when, command) }
	for _, at := range []string{
		kill("cp", "partial"), kill("sync", "partial"), kill("rm", "redis-7"), kill("mv", "redis-7"),
		kill("mv", "version"), kill("sync", "version"),
	} {
		v := newVolume(t, ofRedis7)
		v.requireStart(redis7)
		data := v.read("appendonlydir/appendonly.aof.2.incr.aof")
		_, err := v.start(redis8, at)
		require.Error(t, err, at)
		// Redis 7 goes on meanwhile, unless the new version has taken over: then the copy is whole.
		if v.read("appendonlydir/version") == "redis-7\n" {
			v.requireStart(redis7)
			data += "more"
			v.write("appendonlydir/appendonly.aof.2.incr.aof", data)
		}
		v.requireStart(redis8)
		require.Equal(t, []string{"appendonlydir", "appendonlydir-redis-7"}, v.names(), at)
		for _, folder := range v.names() {
			require.Equal(t, data, v.read(folder+"/appendonly.aof.2.incr.aof"), "%s: %s", at, folder)
		}

		v.env = []string{"GO_BACK=true"}
		v.write("appendonlydir/appendonly.aof.2.incr.aof", "since")
		_, err = v.start(redis7, kill("mv", "redis-7"))
		require.Error(t, err)
		v.env = nil
		v.requireRefusal(redis8, "appendonlydir is not there, but ")
		v.requireRefusal(redis7, "appendonlydir is not there, but ")
		v.env = []string{"GO_BACK=true"}
		v.requireStart(redis7)
		require.Equal(t, data, v.read("appendonlydir/appendonly.aof.2.incr.aof"), at)
	}
}

func TestASnapshotTakesThePlaceOfTheFolder(t *testing.T) {
	v := newVolume(t, ofRedis8)
	before := v.read("appendonlydir/appendonly.aof.2.incr.aof")
	v.write("restore.rdb", ofRedis7)
	_, err := v.start(redis8, `mv=case "$1" in *restored*) kill -9 $PPID; exit 1;; esac; exec /bin/mv "$@"`)
	require.Error(t, err)
	require.NoDirExists(t, v.path("appendonlydir"), "it was killed in between")
	v.requireStart(redis8)
	require.Equal(t, ofRedis7, v.read("appendonlydir/appendonly.aof.1.base.rdb"))
	require.Equal(t, "file appendonly.aof.1.base.rdb seq 1 type b\n",
		v.read("appendonlydir/appendonly.aof.manifest"))
	require.Equal(t, "redis-8\n", v.read("appendonlydir/version"))
	left, err := filepath.Glob(v.path("appendonlydir-left-*/appendonly.aof.2.incr.aof"))
	require.NoError(t, err)
	require.Len(t, left, 1)
	content, err := os.ReadFile(left[0])
	require.NoError(t, err)
	require.Equal(t, before, string(content))
	require.NoFileExists(t, v.path("restore.rdb"))
	require.Equal(t, "runs redis.conf\n", v.requireStart(redis8))

	empty := newVolume(t, "")
	empty.write("restore.rdb", ofRedis8)
	require.Contains(t, empty.requireStart(valkey9), "--rdb-version-check relaxed")
	require.Equal(t, []string{"appendonlydir"}, empty.names())
}

func TestADamagedSnapshotChangesNothing(t *testing.T) {
	v := newVolume(t, ofRedis8)
	v.write("restore.rdb", "half")
	output, err := v.start(redis8, "redis-check-rdb=echo Unexpected EOF; exit 1")
	require.NoError(t, err)
	require.Contains(t, output, "Unexpected EOF\nstart: "+v.path("restore.rdb")+" is damaged, ")
	require.Contains(t, output, "runs redis.conf")
	require.Equal(t, []string{"appendonlydir", "restore.rdb.refused"}, v.names())
	require.FileExists(t, v.path("appendonlydir/appendonly.aof.2.incr.aof"))
}
