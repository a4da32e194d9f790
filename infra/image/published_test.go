package image_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/registrytest"
)

func TestPublishedImages(t *testing.T) {
	team := registrytest.New(t).Address + "/team"
	pushed := registrytest.Push(t, team+"/backup:prod", "PATH=/", "PG_MAJOR=17")
	published := image.Published{Registry: team, Tag: "prod"}
	refs, err := published.Resolve(t.Context(), []string{"backup"}, nil, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"backup": team + "/backup:prod@" + pushed}, refs)
	require.Equal(t, "17", image.Variable(t.Context(), refs["backup"], "PG_MAJOR", nil))
	require.Empty(t, image.Variable(t.Context(), refs["backup"], "PG", nil))
	require.Empty(t, image.Variable(t.Context(), team+"/backup:prod@"+recorder.Digest, "PG_MAJOR", nil))

	_, err = published.Resolve(t.Context(), []string{"pingpong", "backup", "storage"},
		map[string]string{"storage": team + "/storage:prod@" + recorder.Digest}, nil)
	require.EqualError(t, err, "the registry has no image "+team+"/pingpong:prod\n"+
		"the registry has no image "+team+"/storage:prod")
}

func TestPublishedImagesOfARegistryThatDoesNotTell(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	team := server.Listener.Addr().String() + "/team"
	published := image.Published{Registry: team, Tag: "prod"}
	last := map[string]string{"app": team + "/app:prod@" + recorder.Digest}
	refs, err := published.Resolve(t.Context(), []string{"app"}, last, nil)
	require.NoError(t, err)
	require.Equal(t, last, refs)
	published.Tag = "dev"
	_, err = published.Resolve(t.Context(), []string{"app"}, last, nil)
	require.ErrorContains(t, err, "asking the registry for the image "+team+"/app:dev: ")
	_, err = image.Published{Registry: "Team", Tag: "dev"}.Resolve(t.Context(), []string{"app"}, nil, nil)
	require.ErrorContains(t, err, "naming image app: ")
}

func TestPlatformsOfPublishedImages(t *testing.T) {
	registry := registrytest.New(t)
	one := registry.Address + "/team/one:prod"
	one += "@" + registrytest.Push(t, one)
	both := registry.Address + "/team/both:prod"
	both += "@" + registrytest.PushIndex(t, both, "amd64", "arm64")
	require.Equal(t, []string{"linux/amd64"}, image.Platforms(t.Context(), one, nil))
	require.Equal(t, []string{"linux/amd64", "linux/arm64"}, image.Platforms(t.Context(), both, nil))
	registry.Close()
	require.Nil(t, image.Platforms(t.Context(), one, nil))
}
