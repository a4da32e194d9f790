package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

func TestMajorVersions(t *testing.T) {
	for image, major := range map[string]string{
		"postgres:17": "17", "postgres:17.5-trixie": "17", "registry.example.com:5000/team/postgres:18": "18",
		"postgres:18@" + recorder.Digest: "18", "postgres:latest": "", "postgres": "",
		"registry.example.com:5000/team/postgres": "", "postgres@" + recorder.Digest: "", "": "",
	} {
		require.Equal(t, major, server.Major(image), image)
	}
}
