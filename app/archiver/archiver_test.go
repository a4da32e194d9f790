package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/internal/archivertest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

const account = "project"

// system is a server that archives its log, and the store that it does to.
type system struct {
	t        *testing.T
	tree     *imagetest.Tree
	db       *postgrestest.Server
	store    *storagetest.Server
	archiver *archivertest.Archiver
}

func start(t *testing.T, settings ...string) *system {
	t.Helper()
	t.Parallel()
	s := &system{t: t, tree: imagetest.Open(t), store: storagetest.Start(t, account)}
	s.db = postgrestest.StartIn(t, s.tree)
	s.archiver = archivertest.Start(t, s.tree, s.db, s.store, account, settings...)
	return s
}

func TestSmoke(t *testing.T) {
	s := start(t)
	s.archiver.Switch()
	assert.Empty(t, s.archiver.Logged())
}
