package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/outcome"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

const prefix = "project"

func TestMain(m *testing.M) { apptest.Main(m, mainOrPart) }

// system is a database, a store, and what a pod has.
type system struct {
	t       testing.TB
	tree    *imagetest.Tree
	db      *postgrestest.Server
	store   *storagetest.Server
	scratch string
	// visible are folders that scratch servers see in addition to their own.
	visible []string
	servers []server
}

// start makes a database with testdata/sample.sql.
func start(t *testing.T) *system {
	t.Helper()
	s := startEmpty(t)
	sample, err := os.ReadFile("testdata/sample.sql")
	require.NoError(t, err)
	s.db.As("postgres").Exec(string(sample))
	return s
}

func startEmpty(t *testing.T) *system {
	t.Helper()
	t.Parallel()
	return newSystem(t)
}

func newSystem(t testing.TB) *system {
	t.Helper()
	s := &system{t: t, tree: imagetest.Open(t), store: storagetest.Start(t, prefix, "other")}
	s.db = postgrestest.StartIn(t, s.tree)
	s.scratch = s.tree.TempDir()
	return s
}

// with returns the same system for a subtest.
func (s *system) with(t *testing.T) *system {
	other := *s
	other.t, other.servers = t, nil
	return &other
}

// settings returns the settings of a pod that can do everything.
func (s *system) settings() []string {
	certificate, err := os.ReadFile(s.store.CAFile())
	require.NoError(s.t, err)
	return []string{
		"URL=" + s.db.As("reader").TLSURL(),
		"S3_ENDPOINT=" + s.store.Endpoint(), "S3_PREFIX=" + prefix, "S3_BUCKET=" + storagetest.Bucket,
		"S3_ACCESS_KEY_FILE=" + s.tree.File("access-key", prefix+"\n"),
		"S3_SECRET_KEY_FILE=" + s.tree.File("secret-key", s.store.SecretKey(prefix)),
		"S3_CA_FILE=" + s.tree.File("ca.crt", string(certificate)),
		"SCRATCH_DIR=" + s.scratch, "SERVER_DIR=" + s.serve(), "RETRY=0s",
		"TERMINATION_LOG=" + s.tree.Dir + "/termination-log",
	}
}

// begin starts the app with additional settings.
func (s *system) begin(command string, settings ...string) *apptest.Process {
	s.t.Helper()
	return apptest.StartIn(s.t, s.tree, strings.Fields(command), append(s.settings(), settings...)...)
}

// succeed runs the app, which must succeed, and returns its log.
func (s *system) succeed(command string, settings ...string) string {
	s.t.Helper()
	p := s.begin(command, settings...)
	require.Equal(s.t, 0, p.Wait().ExitCode(), p.Logged())
	return p.Logged()
}

// outcome returns how the last command ended, as in the status of its pod.
func (s *system) outcome() (end outcome.Outcome) {
	s.t.Helper()
	line, err := os.ReadFile(s.tree.Path(s.tree.Dir + "/termination-log"))
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(line, &end))
	return end
}

// fail runs the app, which must fail and name the reasons in its last line.
func (s *system) fail(command string, reasons []string, settings ...string) {
	s.t.Helper()
	p := s.begin(command, settings...)
	s.hasFailed(p, reasons...)
	s.isClean()
}

// lastingStatus is the exit status after an error that another pod would have too.
const lastingStatus = 3

func (s *system) hasFailed(p *apptest.Process, reasons ...string) {
	s.t.Helper()
	assert.Contains(s.t, []int{1, lastingStatus}, p.Wait().ExitCode(), p.Logged())
	lines := strings.Split(strings.TrimSpace(p.Logged()), "\n")
	last := strings.ReplaceAll(lines[len(lines)-1], `\"`, `"`)
	for _, reason := range reasons {
		assert.Contains(s.t, last, reason)
	}
	assert.NotContains(s.t, p.Logged(), "correct-horse", "the password")
}

// renewPod replaces the folders of a killed pod. Its scratch servers must have ended with it.
func (s *system) renewPod() {
	s.t.Helper()
	s.areServersIdle()
	s.scratch = s.tree.TempDir()
}

// replacePgDump makes a folder for PATH, with a script in place of pg_dump.
func (s *system) replacePgDump(script string) (dir string) {
	s.t.Helper()
	dir = s.tree.TempDir()
	err := os.WriteFile(s.tree.Path(dir+"/pg_dump"), []byte("#!/bin/sh\n"+script+"\n"), 0o755)
	require.NoError(s.t, err)
	return dir
}

// object returns the file in which the store keeps an object.
func (s *system) object(parts ...string) string {
	return filepath.Join(append([]string{s.store.DataDir(), storagetest.Bucket, prefix}, parts...)...)
}

// backups returns the names of all backups.
func (s *system) backups() (names []string) {
	found, err := filepath.Glob(s.object("*", "manifest.json"))
	require.NoError(s.t, err)
	for _, manifest := range found {
		names = append(names, filepath.Base(filepath.Dir(manifest)))
	}
	return names
}

// backup makes a backup and returns its name.
func (s *system) backup(settings ...string) string {
	s.t.Helper()
	before := s.backups()
	s.succeed("run", settings...)
	made := slices.DeleteFunc(s.backups(), func(name string) bool { return slices.Contains(before, name) })
	require.Len(s.t, made, 1)
	return made[0]
}

func (s *system) manifest(name string) manifest.Manifest {
	s.t.Helper()
	stored, err := os.ReadFile(s.object(name, "manifest.json"))
	require.NoError(s.t, err)
	m, err := manifest.Decode(stored, name)
	require.NoError(s.t, err)
	return m
}

// setManifest replaces a manifest by one with the right checksum.
func (s *system) setManifest(name string, m manifest.Manifest) {
	s.t.Helper()
	stored, err := m.Encode()
	require.NoError(s.t, err)
	s.overwrite(stored, name, "manifest.json")
}

// overwrite changes a stored object and leaves its attributes.
func (s *system) overwrite(content []byte, parts ...string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(s.object(parts...), content, 0o600))
}

func (s *system) read(parts ...string) []byte {
	s.t.Helper()
	content, err := os.ReadFile(s.object(parts...))
	require.NoError(s.t, err)
	return content
}

func (s *system) output(cmd *exec.Cmd) string {
	s.t.Helper()
	said, err := cmd.CombinedOutput()
	require.NoError(s.t, err, string(said))
	return string(said)
}

// container hides all files of the test from scratch servers except the folders in its arguments.
const container = `set -e
program=$1
shift
set -- "${program%/*}" "$@"
mount -t tmpfs tmpfs /media
i=0
for folder; do
	mkdir /media/$i
	mount --bind "$folder" /media/$i
	i=$((i + 1))
done
mount -t tmpfs tmpfs /tmp
i=0
for folder; do
	mkdir -p "$folder"
	mount --move /media/$i "$folder"
	i=$((i + 1))
done
umount /media
mount -t proc proc /proc
exec setpriv --reuid=999 --regid=999 --clear-groups --no-new-privs --pdeathsig=KILL "$program" server
`

// serve starts a container that runs scratch servers, as a pod has one, and returns the folder that they
// share.
func (s *system) serve() string { return s.serveIn(s.tree.TempDir()) }

func (s *system) serveIn(shared string) string {
	s.t.Helper()
	args := append([]string{"-c", container, "container", s.tree.Copy(os.Args[0]), shared}, s.visible...)
	cmd := s.tree.Command("/bin/sh", args...)
	cmd.Dir = "/"
	cmd.SysProcAttr.Credential = nil // the script drops root
	cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
	p := apptest.StartCommand(s.t, cmd, "SERVER_DIR="+shared)
	s.servers = append(s.servers, server{p, shared})
	return shared
}

// server is a container of scratch servers.
type server struct {
	*apptest.Process
	shared string
}

// isClean asserts that nothing is left of scratch servers.
func (s *system) isClean() {
	s.t.Helper()
	left, err := os.ReadDir(s.tree.Path(s.scratch))
	require.NoError(s.t, err)
	assert.Empty(s.t, left)
	for _, server := range s.servers {
		server.Stop(syscall.SIGKILL)
		left, err := filepath.Glob(s.tree.Path(server.shared + "/*"))
		require.NoError(s.t, err)
		left = slices.DeleteFunc(left, func(path string) bool { return filepath.Base(path) == "control" })
		assert.Empty(s.t, left)
	}
	s.servers = nil
}

// areServersIdle waits until no scratch server runs, and ends the containers.
func (s *system) areServersIdle() {
	s.t.Helper()
	for _, server := range s.servers {
		require.Eventually(s.t, func() bool { return len(s.tree.Running(server.shared)) == 0 }, time.Minute,
			10*time.Millisecond)
		server.Stop(syscall.SIGKILL)
	}
	s.servers = nil
}

// secrets is a pattern of what no scratch server may see. It does not match itself.
func (s *system) secrets() string {
	hide := func(secret string) string { return "[" + secret[:1] + "]" + secret[1:] }
	return strings.Join([]string{hide("correct-horse"), hide(s.store.SecretKey(prefix))}, "|")
}
