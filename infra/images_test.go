package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/registrytest"
)

// publish pushes the images that a stack with default settings builds, with its name as their tag.
func publish(t *testing.T, team string) (digest string) {
	t.Helper()
	for _, app := range append(appImages, backupImage, archivingPostgres, storageImage) {
		digest = registrytest.Push(t, team+"/"+app+":prod", "PG_MAJOR=17")
	}
	return digest
}

// A stack that takes the images of another one declares none, and names them by digest.
func TestImagesOfAnotherStack(t *testing.T) {
	registry := registrytest.New(t)
	team := registry.Address + "/team"
	digest := publish(t, team)
	changes := func(images string) map[string]string {
		return map[string]string{"registry": "", "images": images}
	}
	recording := recorder.Run(t, withoutCluster, settings(t, changes(team+"@prod")))
	for _, recorded := range recording.All() {
		require.NotEqual(t, "Image", kind(recorded), recorded.URN)
	}
	pod := recorder.Object[*appsv1.StatefulSet](recording, "pingpong-postgres-statefulset").Spec.Template.Spec
	require.Equal(t, team+"/postgres:prod@"+digest, pod.Containers[0].Image)

	_, err := recorder.Try(t, withoutCluster, settings(t, changes(team+"@dev")), recorder.Preview())
	require.ErrorContains(t, err, "images: the registry has no image "+team+"/backup:dev\n")
	other := changes(team + "@prod")
	other["databases"] = `[{"name": "todo", "image": "postgres:18"}]`
	_, err = recorder.Try(t, withoutCluster, settings(t, other))
	require.ErrorContains(t, err, "images: the registry has no image "+team+"/backup-postgres-18:prod\n")
	other = changes(team + "@prod")
	other["postgresImage"] = "registry.example.com:5000/postgres:18.1"
	_, err = recorder.Try(t, withoutCluster, settings(t, other))
	require.ErrorContains(t, err, "images: the image "+team+"/backup:prod@"+digest+" has Postgres 17, and the "+
		"database pingpong needs registry.example.com:5000/postgres:18.1: give it that version")

	registry.Close()
	last := recorder.Last(recording.Outputs(""))
	require.Equal(t, recording.Names(),
		recorder.Run(t, withoutCluster, settings(t, changes(team+"@prod")), last).Names())
	_, err = recorder.Try(t, withoutCluster, settings(t, changes(team+"@dev")), last)
	require.Equal(t, 9, strings.Count(err.Error(), "asking the registry for the image "))
}
