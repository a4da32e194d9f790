package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/docs"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
)

// TestDocuments runs the commands in the README and the other documents, in a shell for each document, and
// compares what they print with what the documents show. Before the bad day it damages Redis' file, which the
// commands there repair. docs/testing.md has the rules for documents.
func TestDocuments(t *testing.T) {
	c := newCluster(t)
	documents, err := docs.Read(lab.Checkout)
	require.NoError(t, err)
	for _, document := range documents {
		t.Run(document.Name, func(t *testing.T) {
			if document.Name == "docs/bad-day.md" {
				defer damageRedis(c.For(t))()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			assert.NoError(t, document.Run(ctx, lab.Checkout, lab.Name()))
		})
	}
}

// damageRedis writes zeros into the middle of the append-only file of the first Redis, which it reads when it
// starts again. What it returns checks that they were cut off.
func damageRedis(c *kube.Cluster) (check func()) {
	zeros := make([]byte, 40)
	file := func() (path string, content []byte) {
		files, err := filepath.Glob(proc.Dir(c.Process(kube.RedisPods[0], "redis-server")) +
			"/root/data/appendonlydir/*.incr.aof")
		require.NoError(c.T, err)
		require.Len(c.T, files, 1)
		content, err = os.ReadFile(files[0])
		require.NoError(c.T, err)
		return files[0], content
	}
	path, content := file()
	opened, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(c.T, err)
	_, err = opened.WriteAt(zeros, int64(len(content)/2))
	require.NoError(c.T, errors.Join(err, opened.Close()))
	return func() {
		_, content := file()
		assert.NotContains(c.T, string(content), string(zeros))
	}
}
