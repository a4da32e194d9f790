package e2e

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/internal/nsenter"
)

// TestThisProcessStaysInItsNamespace has many threads visit the node's, so that one of them would be the
// process's first.
func TestThisProcessStaysInItsNamespace(t *testing.T) {
	newCluster(t)
	before, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	for range 100 {
		var visitors errgroup.Group
		for range 8 {
			visitors.Go(func() error {
				return nsenter.Do(nodeNetwork(), func() error {
					for range 50 {
						runtime.Gosched()
					}
					return nil
				})
			})
		}
		require.NoError(t, visitors.Wait())
	}
	after, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	assert.Equal(t, before, after)
}
