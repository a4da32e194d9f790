// Package imagetest runs programs for tests in the files of the image postgres:17, as the user that pods run
// as.
package imagetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	// link is where `make integration` links the files, below the root of the checkout.
	link = ".lab/postgres-17"
	// user is postgres in the image, and its group.
	user     = 999
	programs = "/usr/lib/postgresql/17/bin"
)

// Tree is the files of the image, with a directory that the test has for itself. Programs in it see other
// paths than the test does: Path translates.
type Tree struct {
	// Dir is the test's own directory and that in which programs start, as they see it.
	Dir string

	t    testing.TB
	root string

	mu     sync.Mutex
	copies map[string]string
}

// Open makes a directory in the tree, which goes with the test. It needs root.
func Open(t testing.TB) *Tree {
	t.Helper()
	require.Zero(t, os.Geteuid(),
		"these tests change their root directory: run them as root, as make integration does")
	root := find(t)
	removeLeft(filepath.Join(root, "tmp", "test-*"))
	dir, err := os.MkdirTemp(filepath.Join(root, "tmp"), fmt.Sprintf("test-%d-", os.Getpid()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, remove(dir)) })
	require.NoError(t, os.Chown(dir, user, user))
	if _, measures := t.(*testing.B); !measures {
		mount(t, dir, "") // where a server's thousand files are made in half the time
	}
	return &Tree{Dir: "/tmp/" + filepath.Base(dir), t: t, root: root, copies: map[string]string{}}
}

// find looks in the folders above that of the test.
func find(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if root, err := filepath.EvalSymlinks(filepath.Join(dir, link)); err == nil {
			return root
		}
	}
	require.FailNow(t, "these tests need the files of the image postgres:17: make integration gets them")
	return ""
}

// removeLeft removes the directories of processes that were killed.
func removeLeft(pattern string) {
	dirs, _ := filepath.Glob(pattern)
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.Split(filepath.Base(dir), "-")[1])
		if err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = remove(dir) // the next one tries again
		}
	}
}

// remove removes a directory of Open's with all that is mounted in it.
func remove(dir string) error {
	_ = unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) // it may not have got that far
	return os.RemoveAll(dir)
}

// mount mounts a file system in memory, of the tree's user.
func mount(t testing.TB, dir, options string) {
	t.Helper()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV,
		fmt.Sprintf("%suid=%d,gid=%d,mode=700", options, user, user)))
}

// Path is where the test finds what programs in the tree see under that path.
func (t *Tree) Path(inside string) string { return filepath.Join(t.root, inside) }

// File writes a file into Dir, which only the tree's user may read, and returns its path in the tree.
func (t *Tree) File(name, content string) string {
	t.t.Helper()
	inside := path.Join(t.Dir, name)
	require.NoError(t.t, os.WriteFile(t.Path(inside), []byte(content), 0o600))
	require.NoError(t.t, os.Chown(t.Path(inside), user, user))
	return inside
}

// TempDir makes an empty directory and returns its path in the tree.
func (t *Tree) TempDir() string {
	t.t.Helper()
	dir, err := os.MkdirTemp(t.Path(t.Dir), "")
	require.NoError(t.t, err)
	require.NoError(t.t, os.Chown(dir, user, user))
	return path.Join(t.Dir, filepath.Base(dir))
}

// Disk makes an empty disk of that many bytes and returns its path in the tree.
func (t *Tree) Disk(size int64) string {
	t.t.Helper()
	dir := t.TempDir()
	mount(t.t, t.Path(dir), fmt.Sprintf("size=%d,", size))
	return dir
}

// Copy copies a program of this machine into the tree, once, and returns its path there.
func (t *Tree) Copy(program string) string {
	t.t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if inside, ok := t.copies[program]; ok {
		return inside
	}
	inside := path.Join(t.TempDir(), filepath.Base(program))
	// cp writes it, because what this process has open for writing, its children have too, and then it cannot be
	// run.
	said, err := exec.Command("cp", program, t.Path(inside)).CombinedOutput()
	require.NoError(t.t, err, string(said))
	t.copies[program] = inside
	return inside
}

// Command is a program of Postgres, or one at a path in the tree, with the image's environment and nothing of
// the test's. As in a pod it is process 1, and what it has started ends when it does. It ends with the test's
// process.
func (t *Tree) Command(program string, args ...string) *exec.Cmd {
	if !strings.Contains(program, "/") {
		program = path.Join(programs, program)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = t.Dir
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + programs,
		"PG_MAJOR=17", "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     t.root,
		Credential: &syscall.Credential{Uid: user, Gid: user},
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// Running are the processes that work in a directory of the tree or below it, as paths in /proc.
func (t *Tree) Running(inside string) []string { return running(t.Path(inside)) }

func running(dir string) (processes []string) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && (at == dir || strings.HasPrefix(at, dir+"/")) {
			processes = append(processes, filepath.Dir(link))
		}
	}
	return processes
}
