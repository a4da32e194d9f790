package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

// The S3 server's own answer to one too many is a refusal.
func TestUploadsBeyondTheLimitWaitForTheirTurn(t *testing.T) {
	server := storagetest.Start(t, "project")
	clients := minio.Core{Client: server.Client("project")}
	group, ctx := errgroup.WithContext(t.Context())
	sent, half := make(chan struct{}), strings.Repeat("half", 100_000) // which is more than buffers take
	var begun sync.WaitGroup
	for number := range maxRequests + 10 {
		begun.Add(1)
		body := io.MultiReader(strings.NewReader(half), interlude(func() { begun.Done(); <-sent }),
			strings.NewReader(half))
		group.Go(func() error {
			_, err := clients.PutObject(ctx, bucket, fmt.Sprintf("project/%d", number), body, int64(2*len(half)), "",
				"", minio.PutObjectOptions{})
			return err
		})
	}
	begun.Wait()
	close(sent)
	require.NoError(t, group.Wait())
	requireContent(t, clients.Client, fmt.Sprintf("project/%d", maxRequests+9), half+half)
}

// interlude is what happens when a body is read up to there.
type interlude func()

func (i interlude) Read([]byte) (int, error) {
	i()
	return 0, io.EOF
}
