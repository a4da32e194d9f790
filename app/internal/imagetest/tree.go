// Package imagetest runs programs of tests inside the files of an image of Postgres, as the user of the pods.
package imagetest

import (
	"cmp"
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

// user is the ID of postgres and its group in the image.
const user = 999

// Major is the major version of the image: $POSTGRES, or 18.
func Major() string { return cmp.Or(os.Getenv("POSTGRES"), "18") }

// Programs is the folder of Postgres' programs in the image.
func Programs() string { return "/usr/lib/postgresql/" + Major() + "/bin" }

// Tree is the files of the image with a directory for the test. Programs in it see other paths than the test;
// Path translates.
type Tree struct {
	// Dir is the test's directory, in which programs start, as they see it.
	Dir string

	t    testing.TB
	root string

	mu     sync.Mutex
	copies map[string]string
}

// Open makes a directory in the tree. It is removed when the test ends. It needs root.
func Open(t testing.TB) *Tree {
	t.Helper()
	require.Zero(t, os.Geteuid(),
		"these tests change their root directory: run them as root, as make integration does")
	root := find(t)
	removeOrphans(filepath.Join(root, "tmp", "test-*"))
	dir, err := os.MkdirTemp(filepath.Join(root, "tmp"), fmt.Sprintf("test-%d-", os.Getpid()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, remove(dir)) })
	require.NoError(t, os.Chown(dir, user, user))
	if _, measures := t.(*testing.B); !measures {
		mount(t, dir, "") // makes a server's thousand files in half the time
	}
	return &Tree{Dir: "/tmp/" + filepath.Base(dir), t: t, root: root, copies: map[string]string{}}
}

// find looks for the link to the files in the folders above the test's. `make integration` makes it in the
// root of the checkout.
func find(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	link := filepath.Join(".lab", "postgres-"+Major())
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if root, err := filepath.EvalSymlinks(filepath.Join(dir, link)); err == nil {
			return root
		}
	}
	require.FailNowf(t, "no image", "these tests need the files of the image postgres:%[1]s: "+
		"make integration POSTGRES=%[1]s gets them", Major())
	return ""
}

// removeOrphans removes the directories of processes that were killed.
func removeOrphans(pattern string) {
	dirs, _ := filepath.Glob(pattern)
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.Split(filepath.Base(dir), "-")[1])
		if err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = remove(dir) // the next test retries
		}
	}
}

// remove removes a test's directory and unmounts it.
func remove(dir string) error {
	_ = unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) // may not be mounted
	return os.RemoveAll(dir)
}

// mount mounts a file system in memory that belongs to the tree's user.
func mount(t testing.TB, dir, options string) {
	t.Helper()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV,
		fmt.Sprintf("%suid=%d,gid=%d,mode=700", options, user, user)))
}

// Path translates a path in the tree to a path of the test.
func (t *Tree) Path(inside string) string { return filepath.Join(t.root, inside) }

// File writes a file into Dir that only the tree's user may read, and returns its path in the tree.
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

// Disk makes an empty disk of a size in bytes and returns its path in the tree.
func (t *Tree) Disk(size int64) string {
	t.t.Helper()
	dir := t.TempDir()
	mount(t.t, t.Path(dir), fmt.Sprintf("size=%d,", size))
	return dir
}

// Copy copies a program of this machine into the tree and returns its path there.
func (t *Tree) Copy(program string) string {
	t.t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	if inside, ok := t.copies[program]; ok {
		return inside
	}
	inside := path.Join(t.TempDir(), filepath.Base(program))
	// Another process must write it: children of this one would inherit the open file, and the kernel runs no
	// program that is open for writing.
	said, err := exec.Command("cp", program, t.Path(inside)).CombinedOutput()
	require.NoError(t.t, err, string(said))
	t.copies[program] = inside
	return inside
}

// Command returns a command for a program of Postgres, or for a path in the tree, with the image's
// environment only. As in a pod it is process 1, so its children end with it. It ends with the test's
// process.
func (t *Tree) Command(program string, args ...string) *exec.Cmd {
	if !strings.Contains(program, "/") {
		program = path.Join(Programs(), program)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = t.Dir
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + Programs(),
		"PG_MAJOR=" + Major(), "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     t.root,
		Credential: &syscall.Credential{Uid: user, Gid: user},
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// Running returns the processes that work in a directory of the tree or below it, as paths in /proc.
func (t *Tree) Running(inside string) (processes []string) {
	dir := t.Path(inside)
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && (at == dir || strings.HasPrefix(at, dir+"/")) {
			processes = append(processes, filepath.Dir(link))
		}
	}
	return processes
}
