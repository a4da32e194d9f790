package imagetest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	return strings.TrimSpace(string(said))
}

func TestProgramsAreThoseOfTheImage(t *testing.T) {
	tree := Open(t)
	assert.Contains(t, output(t, tree.Command("pg_dump", "--version")), "(PostgreSQL) 17.")
	assert.Equal(t, "17", strings.Split(output(t,
		tree.Command("/bin/sh", "-c", "postgres --version | cut -d' ' -f3")), ".")[0])
	assert.Equal(t, "999 999 999", output(t, tree.Command("/bin/sh", "-c", "echo $(id -u) $(id -g) $(id -G)")))
	assert.Contains(t, output(t, tree.Command("/usr/bin/getent", "ahostsv4", "localhost")), "127.0.0.1")
}

func TestProgramsHaveNothingOfTheTests(t *testing.T) {
	t.Setenv("PGHOST", "elsewhere")
	tree := Open(t)
	assert.NotContains(t, output(t, tree.Command("/usr/bin/env")), "PGHOST")
	assert.Equal(t, tree.Dir, output(t, tree.Command("/bin/pwd")))
	_, err := os.Stat(tree.Path("/etc/debian_version"))
	require.NoError(t, err)
	_, err = tree.Command("/bin/cat", tree.Path("/etc/debian_version")).Output()
	require.Error(t, err, "this machine's files are out of reach")
	_, err = tree.Command("/usr/bin/touch", "/etc/mine").Output()
	require.Error(t, err, "the image's files stay as they are")
}

func TestEachTestHasADirectory(t *testing.T) {
	var dirs []string
	t.Run("tests", func(t *testing.T) {
		for range 3 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				tree := Open(t)
				file, dir := tree.File("secret", "hunter2"), tree.TempDir()
				assert.Equal(t, "hunter2", output(t, tree.Command("/bin/cat", file)))
				output(t, tree.Command("/bin/sh", "-c", "echo hello > "+dir+"/file"))
				content, err := os.ReadFile(tree.Path(path.Join(dir, "file")))
				require.NoError(t, err)
				assert.Equal(t, "hello\n", string(content))
				info, err := os.Stat(tree.Path(file))
				require.NoError(t, err)
				assert.Equal(t, os.FileMode(0o600), info.Mode())
			})
		}
		for range 2 {
			dirs = append(dirs, Open(t).Path(Open(t).Dir))
		}
	})
	assert.NotEqual(t, dirs[0], dirs[1])
	for _, dir := range dirs {
		assert.NoDirExists(t, dir)
	}
}

func TestACopiedProgramRuns(t *testing.T) {
	tree := Open(t)
	self := tree.Copy(os.Args[0])
	assert.Contains(t, output(t, tree.Command(self, "-test.list", "TestACopied")), "TestACopiedProgramRuns")
	assert.Equal(t, self, tree.Copy(os.Args[0]), "one copy is enough")
}

func mounts(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	return string(mounts)
}

func TestADiskGetsFull(t *testing.T) {
	var disk string
	t.Run("disk", func(t *testing.T) {
		tree := Open(t)
		dir := tree.Disk(1 << 20)
		disk = tree.Path(dir)
		write := func(bytes int) (string, error) {
			said, err := tree.Command("/bin/sh", "-c",
				fmt.Sprintf("head -c %d /dev/zero > %s/file", bytes, dir)).CombinedOutput()
			return string(said), err
		}
		said, err := write(1 << 19)
		require.NoError(t, err, said)
		said, err = write(2 << 20)
		require.Error(t, err)
		assert.Contains(t, said, "No space left on device")
		assert.Contains(t, mounts(t), disk)
	})
	assert.NotContains(t, mounts(t), disk)
	assert.NoDirExists(t, disk)
}

// family starts a program with two children in sessions of their own, and waits until all are there.
func family(t *testing.T, tree *Tree) *exec.Cmd {
	t.Helper()
	cmd := tree.Command("/bin/sh", "-c", "setsid sleep 1000 & setsid sleep 1000 & wait")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return len(tree.Running(tree.Dir)) == 3 }, time.Minute,
		10*time.Millisecond)
	return cmd
}

func TestKillLeavesNoProcess(t *testing.T) {
	tree := Open(t)
	cmd := family(t, tree)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	assert.Empty(t, tree.Running(tree.Dir))
}

// The test starts itself, with this variable, as a test that does not end.
const endless = "IMAGETEST_ENDLESS"

func TestAKilledTestLeavesNothing(t *testing.T) {
	if os.Getenv(endless) != "" {
		tree := Open(t)
		tree.Disk(1 << 20)
		family(t, tree)
		fmt.Println(tree.Path(tree.Dir))
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), endless+"=1")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	dir, err := bufio.NewReader(stdout).ReadString('\n')
	dir = strings.TrimSpace(dir)
	if assert.NoError(t, err) {
		assert.Len(t, running(dir), 3)
	}
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return len(running(dir)) == 0 }, time.Minute, 10*time.Millisecond)

	Open(t) // the next test tidies up
	assert.NoDirExists(t, dir)
	assert.NotContains(t, mounts(t), dir)
}

func TestWithoutTheImageTestsFail(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestProgramsAreThoseOfTheImage$")
	cmd.Dir = t.TempDir()
	said, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(said),
		"these tests need the files of the image postgres:17: make integration gets them")
}
