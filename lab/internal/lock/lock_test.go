package lock

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneAfterTheOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks", "test")
	release, err := Take(t.Context(), path, "nobody")
	require.NoError(t, err)

	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = Take(short, path, "the first one")
	require.ErrorIs(t, err, context.DeadlineExceeded, "waiting can be interrupted")

	second := make(chan error, 1)
	go func() {
		release, err := Take(t.Context(), path, "the first one")
		if err == nil {
			release()
		}
		second <- err
	}()
	select {
	case err := <-second:
		assert.Fail(t, "two hold it", err)
	case <-time.After(300 * time.Millisecond):
	}
	release()
	require.NoError(t, <-second)
}
