package lock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
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

func TestAPathIsMadeOnce(t *testing.T) {
	cache := t.TempDir()
	path := filepath.Join(cache, "images", "hello")
	made := 0
	create := func(partial string) error {
		made++
		return os.WriteFile(partial, []byte("hello"), 0o644)
	}
	fail := func(partial string) error {
		require.NoError(t, os.WriteFile(partial, []byte("half"), 0o644))
		return errors.New("no space left")
	}
	once := func(create func(string) error) error { return Once(t.Context(), cache, path, "another", create) }

	require.EqualError(t, once(fail), "no space left")
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Empty(t, left)
	require.NoError(t, os.WriteFile(path+".partial1", nil, 0o644)) // a killed process's

	var processes sync.WaitGroup
	for range 4 {
		processes.Go(func() { assert.NoError(t, once(create)) })
	}
	processes.Wait()
	assert.Equal(t, 1, made)
	left, err = os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, left, 1)
}
