package layout

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func lab(t *testing.T, name string) Lab {
	t.Helper()
	l, err := New(name, "/cache", "/checkout")
	require.NoError(t, err)
	return l
}

func TestNamesThatNoInterfaceCouldCarryAreRefused(t *testing.T) {
	for _, name := range []string{"", "Dev", "9lives", "my-lab", "toolonganame", "a b", "../x"} {
		_, err := New(name, "/cache", "/checkout")
		assert.ErrorContains(t, err, "cannot name a lab", name)
	}
	longest := lab(t, "abcdefgh")
	assert.Equal(t, "sk3s-abcdefgh", longest.ID())
	assert.Equal(t, "sk3s-abcdefgh-0", longest.Nodes()[0].ID())
	assert.Len(t, longest.Nodes()[0].ID(), 15) // IFNAMSIZ less the final zero
}

func TestLabsShareNothingButTheCache(t *testing.T) {
	dev, test := lab(t, "dev"), lab(t, "test")
	of := func(l Lab) []string {
		node := l.Nodes()[0]
		return []string{
			l.Dir(), l.CheckoutDir(), l.ID(), l.Subnet().String(), l.Registry(), l.BuildkitSocket(), l.Kubeconfig(),
			node.Name(), node.ID(), node.Address().String(), node.Dir(),
		}
	}
	devs, tests := of(dev), of(test)
	for i := range devs {
		assert.NotEqual(t, devs[i], tests[i])
	}
	assert.Equal(t, dev.Cache, test.Cache)
}

func TestWithoutAClusterOfItsOwnALabLivesInTheUsersHome(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/home/ann/.state")
	inHome, err := lab(t, "dev").InHome()
	require.NoError(t, err)
	assert.Equal(t, "/home/ann/.state/stateful-k3s/dev/pulumi", inHome.Dir("pulumi"))
	assert.Equal(t, "/var/lib/stateful-k3s/dev/pulumi", lab(t, "dev").Dir("pulumi"))
}

func TestALabHasTheNodesThatHaveADirectory(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	dev, err := lab(t, "dev").InHome()
	require.NoError(t, err)
	assert.Len(t, dev.Nodes(), 1)
	three, err := dev.WithNodes(3)
	require.NoError(t, err)
	assert.Len(t, dev.Nodes(), 1, "nothing has made their directories")
	for index, node := range three.Nodes() {
		assert.Equal(t, fmt.Sprintf("dev-%d", index), node.Name())
		assert.Equal(t, fmt.Sprintf("sk3s-dev-%d", index), node.ID())
		assert.Equal(t, fmt.Sprintf("10.231.188.1%d", index), node.Address().String())
		assert.Equal(t, index == 0, node.IsServer())
		require.NoError(t, os.MkdirAll(node.Dir(), 0o755))
	}
	assert.Len(t, dev.Nodes(), 3)
	for count, want := range map[int]int{0: 3, 3: 3, 4: 4, 10: 10} {
		more, err := dev.WithNodes(count)
		require.NoError(t, err)
		assert.Len(t, more.Nodes(), want)
	}
	_, err = dev.WithNodes(2)
	assert.ErrorContains(t, err, "the lab dev has 3 nodes already, and none is removed")
	for _, count := range []int{-1, 11} {
		_, err = dev.WithNodes(count)
		assert.ErrorContains(t, err, "take 1 to 10")
	}
}

func TestNodesAreFoundByTheirNumber(t *testing.T) {
	three, err := lab(t, "abcdefgh").WithNodes(3)
	require.NoError(t, err)
	node, err := three.Node("2")
	require.NoError(t, err)
	assert.Equal(t, "abcdefgh-2", node.Name())
	for _, number := range []string{"3", "-1", "", "abcdefgh-2"} {
		_, err := three.Node(number)
		assert.ErrorContains(t, err, "take 0 to 2, for example NODE=2", number)
	}
}
