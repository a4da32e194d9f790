package preflight

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestEverythingMissingIsListedAtOnce(t *testing.T) {
	defer func(all []Package) { ForLab = all }(ForLab)
	ForLab = []Package{{"ipset", "/no/such/ipset"}, {"shell", "/bin/sh"}, {"conntrack", "/no/such/conntrack"}}
	t.Setenv("PATH", t.TempDir()) // no apt-get
	dir := t.TempDir()

	err := Check(t.Context(), Space{dir: 1 << 30})
	require.ErrorContains(t, err,
		"packages are missing (Debian's names): install what they are called here: ipset conntrack")
	require.ErrorContains(t, err, " GB free for "+dir+", and 1073741824 GB are needed: free 10737")
}

func TestPackagesAreNamedWhereTheyCannotBeInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no apt-get
	err := Install(t.Context(), []Package{{"chromium", "/no/such/chromium /no/such/chrome"},
		{"shell", "/no/such/sh /bin/sh"}})
	require.EqualError(t, err,
		"packages are missing (Debian's names): install what they are called here: chromium")
}

func TestThisMachineIsReadyButForPackagesThatCanBeInstalled(t *testing.T) {
	require.NoError(t, Check(t.Context(), Space{t.TempDir(): 0}))
}

func TestMissingLooksForTheFilesOfPackages(t *testing.T) {
	there := filepath.Join(t.TempDir(), "there")
	require.NoError(t, os.WriteFile(there, nil, 0o644))
	assert.Equal(t, []string{"b"}, Missing([]Package{{"a", there}, {"b", there + "-not"}}))
	assert.Equal(t, []string{"d"},
		Missing([]Package{{"c", filepath.Dir(there) + "/t*"}, {"d", filepath.Dir(there) + "/x*"}}))
}

func TestPackagesAreInstalledWhenNobodyElseDoes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	other, err := os.Create(name)
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, unix.FcntlFlock(other.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	done := make(chan error)
	go func() { done <- awaitLock(t.Context(), name) }()
	select {
	case err := <-done:
		t.Fatal("did not wait", err)
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, other.Close())
	require.NoError(t, <-done)
}

func TestClusterCreationIsDisabledUnlessConfigured(t *testing.T) {
	defaults := filepath.Join(t.TempDir(), "postgresql-common", "createcluster.conf")
	for _, content := range []string{"create_main_cluster = false\n", "create_main_cluster = true\n"} {
		require.NoError(t, disableClusterCreation(defaults))
		read, err := os.ReadFile(defaults)
		require.NoError(t, err)
		assert.Equal(t, content, string(read))
		require.NoError(t, os.WriteFile(defaults, []byte("create_main_cluster = true\n"), 0o644))
	}
}
