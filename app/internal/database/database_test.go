package database_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
)

func TestCommitsAreDurableWhateverTheServerSays(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(`ALTER ROLE app SET synchronous_commit = off`)
	pool, err := database.Open(t.Context(), func() (string, error) { return server.URL(), nil })
	require.NoError(t, err)
	defer pool.Close()
	var setting string
	require.NoError(t, pool.QueryRow(t.Context(), `SHOW synchronous_commit`).Scan(&setting))
	assert.Equal(t, "on", setting)
}
