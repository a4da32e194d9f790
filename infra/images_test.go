package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/registrytest"
)

// publish pushes the images that a stack with default settings builds, with its name as their tag.
func publish(t *testing.T, team string) (digest string) {
	t.Helper()
	backup, server := imageName(backupImage, "postgres:18"), imageName(archivingPostgres, "postgres:18")
	for _, app := range append(appImages, backup, server, storageImage) {
		digest = registrytest.Push(t, team+"/"+app+":prod", "PG_MAJOR=18")
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
	require.Equal(t, team+"/postgres-postgres-18:prod@"+digest, pod.Containers[0].Image)

	_, err := recorder.Try(t, withoutCluster, settings(t, changes(team+"@dev")), recorder.Preview())
	require.ErrorContains(t, err, "images: the registry has no image "+team+"/backup-postgres-18:dev\n")
	other := changes(team + "@prod")
	other["databases"] = `[{"name": "todo", "image": "postgres:17"}]`
	_, err = recorder.Try(t, withoutCluster, settings(t, other))
	require.ErrorContains(t, err, "images: the registry has no image "+team+"/backup-postgres-17:prod\n")
	other = changes(team + "@prod")
	other["postgresImage"] = "postgres:17"
	registrytest.Push(t, team+"/postgres-postgres-17:prod")
	ref := team + "/backup-postgres-17:prod"
	ref += "@" + registrytest.Push(t, ref, "PG_MAJOR=18")
	_, err = recorder.Try(t, withoutCluster, settings(t, other))
	require.ErrorContains(t, err, "images: the image "+ref+" has Postgres 18, and the database pingpong needs "+
		"postgres:17: give it that version")

	registry.Close()
	last := recorder.Last(recording.Outputs(""))
	require.Equal(t, recording.Names(),
		recorder.Run(t, withoutCluster, settings(t, changes(team+"@prod")), last).Names())
	_, err = recorder.Try(t, withoutCluster, settings(t, changes(team+"@dev")), last)
	require.Equal(t, 10, strings.Count(err.Error(), "asking the registry for the image "))
}

// Those who have an image of Postgres of their own build what is made from it, and that alone.
func TestImagesOfAReleaseWithAnotherPostgres(t *testing.T) {
	team := registrytest.New(t).Address + "/team"
	publish(t, team)
	changes := map[string]string{"images": team + "@prod", "postgresImage": "postgis/postgis:17-3.5",
		"databases": `[{"name": "todo", "image": "postgres:18"}]`}
	recording := recorder.Run(t, withoutCluster, settings(t, changes))
	var built []string
	for _, recorded := range recording.All() {
		if kind(recorded) == "Image" {
			built = append(built, recorded.URN.Name())
			arguments := recorded.Inputs["buildArgs"].ObjectValue()
			require.Equal(t, "postgis/postgis:17-3.5", arguments[postgresArg].StringValue())
		}
	}
	require.ElementsMatch(t, []string{"backup-postgis-postgis-17-3-5", "postgres-postgis-postgis-17-3-5"}, built)
	image := func(set string) string {
		return recorder.Object[*appsv1.StatefulSet](recording, set).Spec.Template.Spec.Containers[0].Image
	}
	require.Equal(t, "registry.example.com/team/postgres-postgis-postgis-17-3-5:dev@"+recorder.Digest,
		image("pingpong-postgres-statefulset"))
	require.Contains(t, image("todo-postgres-statefulset"), team+"/postgres-postgres-18:prod@")

	changes["registry"] = ""
	_, err := recorder.Try(t, withoutCluster, settings(t, changes))
	require.ErrorContains(t, err, "is made from postgis/postgis:17-3.5: take one of postgres:17, postgres:18, ")
	for _, target := range []string{"backup", "postgres"} {
		registrytest.Push(t, team+"/"+target+"-postgis-postgis-17-3-5:prod", "PG_MAJOR=17")
	}
	recording = recorder.Run(t, withoutCluster, settings(t, changes))
	require.Contains(t, image("pingpong-postgres-statefulset"), team+"/postgres-postgis-postgis-17-3-5:prod@",
		"another stack has built it")
}

// Images are for the platforms of the nodes, and none is taken that a node could not run.
func TestImagesForNodes(t *testing.T) {
	onPi := withNodes(cluster.Platforms{"linux/amd64": "server", "linux/arm64": "pi"})
	platforms := func(changes map[string]string) any {
		recording := recorder.Run(t, onPi, settings(t, changes))
		return recording.Get(t, "docker-build:index:Image", "pingpong").Inputs["platforms"].Mappable()
	}
	both := []any{"linux/amd64", "linux/arm64"}
	require.Equal(t, both, platforms(nil))
	require.Equal(t, both, platforms(map[string]string{"platforms": "linux/amd64 linux/arm64"}))

	_, err := recorder.Try(t, onPi, settings(t, map[string]string{"platforms": "linux/amd64"}))
	require.ErrorContains(t, err, "platforms: the node pi is linux/arm64, and each image is for linux/amd64: "+
		`its pods could not run there; for example: pulumi config set platforms "linux/amd64 linux/arm64"`)

	team := registrytest.New(t).Address + "/team"
	publish(t, team)
	_, err = recorder.Try(t, onPi, settings(t, map[string]string{"registry": "", "images": team + "@prod"}))
	require.ErrorContains(t, err,
		"images: the node pi is linux/arm64, and the image "+team+"/backup-postgres-18:prod@")
}

// A release publishes every image that a stack takes. It has those of Postgres once for each version.
func TestAReleaseHasEveryImage(t *testing.T) {
	text, err := os.ReadFile("../.github/workflows/release.yml")
	require.NoError(t, err)
	type built struct{ Target, Postgres, Name string }
	var workflow struct {
		Jobs struct {
			Images struct {
				Strategy struct {
					Matrix struct{ Include []built }
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &workflow))
	var expected []built
	for _, target := range append(slices.Clone(appImages), storageImage) {
		expected = append(expected, built{Target: target, Name: target})
	}
	for _, postgres := range publishedPostgres {
		for _, target := range []string{backupImage, archivingPostgres} {
			expected = append(expected, built{target, postgres, imageName(target, postgres)})
		}
	}
	require.ElementsMatch(t, expected, workflow.Jobs.Images.Strategy.Matrix.Include)
}
