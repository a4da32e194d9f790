package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/docs"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
)

// TestDocuments runs the commands in the README and the other documents, in a shell for each document, and
// compares what they print with what the documents show. docs/testing.md has the rules for documents.
func TestDocuments(t *testing.T) {
	newCluster(t)
	documents, err := docs.Read(lab.Checkout)
	require.NoError(t, err)
	for _, document := range documents {
		t.Run(document.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			assert.NoError(t, document.Run(ctx, lab.Checkout, lab.Name()))
		})
	}
}
