package layout

import (
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
