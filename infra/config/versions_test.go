package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func TestVersionsOfSecrets(t *testing.T) {
	noEnvironment(t)
	cfg, err := load(t, map[string]string{
		"registry": "registry.example.com", "todoPostgresPassword": "of-todos-alone",
		"secretVersions": "pingpong-owner=2; pingpong-reader = 3;todo-certificate=4; redis-password=5; storage-project-key=6;",
	}, secrets...)
	require.NoError(t, err)
	require.Equal(t, map[string]kube.Versions{
		"pingpong": {"owner": "2", "reader": "3"}, "todo": {"certificate": "4"}, "redis": {"password": "5"},
		"storage": {"project-key": "6"},
	}, cfg.SecretVersions)
}

func TestVersionsOfSecretsThatAreRefused(t *testing.T) {
	noEnvironment(t)
	for value, fault := range map[string]string{
		"pingpong-owner":                     `"pingpong-owner" has no value`,
		"redis-password=":                    `redis-password has no version`,
		"redis-password=2; redis-password=3": `redis-password is set twice`,
		"todo-salt=2": `"todo-salt" is no secret; there are pingpong-certificate, pingpong-exporter, pingpong-owner, pingpong-reader, pingpong-restorer, ` +
			`redis-password, storage-certificate, storage-exercises-key, storage-project-key, todo-certificate, todo-exporter, todo-owner, todo-reader, todo-restorer`,
	} {
		_, err := load(t, map[string]string{"registry": "registry.example.com", "secretVersions": value})
		require.ErrorContains(t, err, "stateful-k3s:secretVersions: \""+value+
			"\" is not a list of name=version with semicolons between them: "+fault+
			"; for example: pulumi config set secretVersions \"pingpong-owner=2; todo-certificate=2\"")
	}
}
