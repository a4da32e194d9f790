package cluster

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"github.com/distribution/reference"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
)

// Redis is where the Redis servers run, and the image that they get.
type Redis struct {
	Namespace, StatefulSet, Container, Image string
	// GoesBack allows to leave behind what was written since a move to a newer version.
	GoesBack bool
}

// redisServer is a major version of Redis or Valkey.
type redisServer struct {
	product string
	major   int
}

func (s redisServer) String() string { return fmt.Sprintf("%s %d", s.product, s.major) }

// redisOf returns the server that an image's name says; known is false if it says none.
func redisOf(image string) (s redisServer, known bool) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return s, false
	}
	s.product = path.Base(reference.Path(named))
	s.major, _ = strconv.Atoi(server.Major(image))
	return s, s.major > 0 && (s.product == "redis" || s.product == "valkey")
}

// reads tells whether the server can begin on data of another one. What its name can't tell, it says itself
// when it starts.
func (s redisServer) reads(data redisServer) bool {
	switch s.product {
	case data.product:
		return s.major >= data.major
	case "valkey":
		return data.major < 8 || s.major >= 9
	default: // Redis, on data of Valkey
		return data.major < 9
	}
}

// checkRedis refuses an image that would not start on the data, and says what the update does to the data.
func (r Requirements) checkRedis(ctx context.Context, client kubernetes.Interface, say func(string)) error {
	redis := r.Redis
	if redis == (Redis{}) {
		return nil
	}
	set, err := client.AppsV1().StatefulSets(redis.Namespace).Get(ctx, redis.StatefulSet, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return unlessForbidden(err, "StatefulSet "+redis.StatefulSet+" in the namespace "+redis.Namespace)
	}
	for _, container := range set.Spec.Template.Spec.Containers {
		if container.Name != redis.Container {
			continue
		}
		notice, err := redis.move(container.Image)
		if err != nil {
			return err
		}
		if notice != "" {
			say(notice)
		}
	}
	return nil
}

func (r Redis) move(running string) (notice string, err error) {
	is, known := redisOf(running)
	next, nextKnown := redisOf(r.Image)
	switch {
	case !known || !nextKnown || is == next:
		return "", nil
	case next.reads(is):
		return fmt.Sprintf("Redis moves from %s to %s. Each pod first keeps a copy of its data on its volume: "+
			"docs/redis.md#a-new-major-version", is, next), nil
	case r.GoesBack:
		return fmt.Sprintf("Redis goes back from %s to %s. Each pod begins on the copy that it kept when it "+
			"moved, and leaves behind what was written since: docs/redis.md#going-back", is, next), nil
	}
	return "", fmt.Errorf("redisImage: %s runs, and %s can't read its data: if it has moved from there, and "+
		"what was written since may be left behind, set redisGoBack to true; to stay, take an image of %s. "+
		"Nothing was changed", running, r.Image, is)
}
