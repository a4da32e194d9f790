package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
)

// container is what hides from the throwaway servers all files of the test but those in folders that it is
// told, as a container of their own does.
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

// serve starts a container that runs throwaway servers, as a pod has one, and returns the folder that it
// shares.
func (s *system) serve() string { return s.serveIn(s.tree.TempDir()) }

func (s *system) serveIn(shared string) string {
	s.t.Helper()
	args := append([]string{"-c", container, "container", s.tree.Copy(os.Args[0]), shared}, s.visible...)
	cmd := s.tree.Command("/bin/sh", args...)
	cmd.Dir = "/"
	cmd.SysProcAttr.Credential = nil // which the script gives up
	cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
	p := apptest.StartCommand(s.t, cmd, "SERVER_DIR="+shared)
	s.servers = append(s.servers, server{p, shared})
	return shared
}

// server is a container of throwaway servers.
type server struct {
	*apptest.Process
	shared string
}

// isClean says that nothing is left of a throwaway server.
func (s *system) isClean() {
	s.t.Helper()
	left, err := os.ReadDir(s.tree.Path(s.scratch))
	require.NoError(s.t, err)
	assert.Empty(s.t, left)
	s.areServersClean()
}

func (s *system) areServersClean() {
	s.t.Helper()
	for _, server := range s.servers {
		server.Stop(syscall.SIGKILL)
		left, err := filepath.Glob(s.tree.Path(server.shared + "/*"))
		require.NoError(s.t, err)
		left = slices.DeleteFunc(left, func(path string) bool { return filepath.Base(path) == "control" })
		assert.Empty(s.t, left)
	}
	s.servers = nil
}

// areServersIdle waits until no throwaway server runs, and gives up the containers.
func (s *system) areServersIdle() {
	s.t.Helper()
	for _, server := range s.servers {
		require.Eventually(s.t, func() bool { return len(s.tree.Running(server.shared)) == 0 }, time.Minute,
			10*time.Millisecond)
		server.Stop(syscall.SIGKILL)
	}
	s.servers = nil
}

// secrets is an expression for all that no throwaway server may see, which does not match itself.
func (s *system) secrets() string {
	hide := func(secret string) string { return "[" + secret[:1] + "]" + secret[1:] }
	return strings.Join([]string{hide("correct-horse"), hide(s.store.SecretKey(prefix))}, "|")
}
