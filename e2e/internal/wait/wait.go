// Package wait waits for what a cluster does in its own time. Like all helpers of these tests it fails with
// testify, which prints the way from the test to the failure, so that none of them calls t.Helper.
package wait

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// Patience is the longest that anything in the cluster may take. Kubernetes waits up to 5 minutes before it
	// restarts a container that has died often.
	Patience = 8 * time.Minute
	// Poll is the time between two attempts.
	Poll = 200 * time.Millisecond
)

// Until repeats an attempt until it returns no error.
func Until(t *testing.T, attempt func() error) {
	var err error
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(Poll) {
		if err = attempt(); err == nil {
			return
		}
	}
	require.NoError(t, err, "still after %s", Patience)
}
