// Package todotest runs the todo backend inside the tests of other packages.
package todotest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/database"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	todohttp "github.com/stateful-k3s/stateful-k3s/app/todo-backend/http"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/postgres"
)

// Open starts a Postgres server and waits until it has the backend's tables.
func Open(t testing.TB) (*postgres.Store, *database.Database, *postgrestest.Server) {
	t.Helper()
	server := postgrestest.Start(t)
	db, err := database.Open(t.Context(), func() (string, error) { return server.URL(), nil },
		postgres.MaxConns, postgres.Migrations)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	store := postgres.NewStore(db)
	require.Eventually(t, func() bool { return store.Ready(t.Context()) == nil }, time.Minute,
		10*time.Millisecond)
	return store, db, server
}

// Start returns the backend's handler on a Postgres server of its own.
func Start(t testing.TB) (http.Handler, *postgrestest.Server) {
	t.Helper()
	store, _, server := Open(t)
	mux := http.NewServeMux()
	todohttp.Register(mux, store)
	return mux, server
}
