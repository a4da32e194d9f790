package main

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// publish pushes the images that a stack with default settings builds, with its name as their tag.
func publish(t *testing.T, team string) (digest string) {
	t.Helper()
	made, err := mutate.Config(empty.Image, v1.Config{Env: []string{"PG_MAJOR=17"}})
	require.NoError(t, err)
	for _, app := range append(appImages, backupImage, archivingPostgres, storageImage) {
		tag, err := name.NewTag(team + "/" + app + ":prod")
		require.NoError(t, err)
		require.NoError(t, remote.Write(tag, made))
	}
	hash, err := made.Digest()
	require.NoError(t, err)
	return hash.String()
}

// A stack that takes the images of another one declares none, and names them by digest.
func TestImagesOfAnotherStack(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	team := server.Listener.Addr().String() + "/team"
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

	server.Close()
	last := recorder.Last(recording.Outputs(""))
	require.Equal(t, recording.Names(),
		recorder.Run(t, withoutCluster, settings(t, changes(team+"@prod")), last).Names())
	_, err = recorder.Try(t, withoutCluster, settings(t, changes(team+"@dev")), last)
	require.Equal(t, 9, strings.Count(err.Error(), "asking the registry for the image "))
}
