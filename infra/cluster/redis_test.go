package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func redisRunning(image string) *appsv1.StatefulSet {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "exercises", Name: "redis-stset"}}
	set.Spec.Template.Spec.Containers = []corev1.Container{
		{Name: "redisfiller", Image: "redisfiller:1"}, {Name: "redis", Image: image},
	}
	return set
}

func TestRedisMovesToWhatReadsItsData(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, test := range []struct {
		running, image string
		back           bool
		notice, err    string
	}{
		{"redis:8", "redis:8.2", false, "", ""},
		{"redis:8" + digest, "registry.example.com:5000/mirror/redis:8.2-alpine", false, "", ""},
		{"redis:7", "redis:8", false, "Redis moves from redis 7 to redis 8. Each pod first keeps a copy", ""},
		{"redis:7", "redis:8", true, "Redis moves from redis 7 to redis 8. ", ""},
		{"redis:7.2", "valkey/valkey:8", false, "Redis moves from redis 7 to valkey 8. ", ""},
		{"redis:8", "valkey/valkey:9.1", false, "Redis moves from redis 8 to valkey 9. ", ""},
		{"valkey/valkey:8", "redis:8", false, "Redis moves from valkey 8 to redis 8. ", ""},
		{"redis:8", "redis:7", false, "", "redisImage: redis:8 runs, and redis:7 can't read its data: "},
		{"redis:8", "valkey/valkey:8", false, "", "set redisGoBack to true; to stay, take an image of redis 8. "},
		{"valkey/valkey:9", "redis:8", false, "", "to stay, take an image of valkey 9. Nothing was changed"},
		{"redis:8", "redis:7", true, "Redis goes back from redis 8 to redis 7. ", ""},
		{"valkey/valkey:9", "redis:8", true, "Redis goes back from valkey 9 to redis 8. ", ""},
		{"mine/cache:8", "redis:7", false, "", ""},
		{"redis:8", "mine/cache:7", false, "", ""},
		{"redis" + digest, "redis:7", false, "", ""},
	} {
		requirements := Requirements{Redis: Redis{Namespace: "exercises", StatefulSet: "redis-stset",
			Container: "redis", Image: test.image, GoesBack: test.back}}
		var notice string
		err := requirements.checkRedis(t.Context(), fake.NewClientset(redisRunning(test.running)),
			func(what string) { notice = what })
		if test.err != "" {
			require.ErrorContains(t, err, test.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, test.notice == "", notice == "", "%s to %s: %s", test.running, test.image, notice)
		require.Contains(t, notice, test.notice)
	}
	nothing := Requirements{Redis: Redis{StatefulSet: "redis-stset", Image: "redis:7"}}
	require.NoError(t, nothing.checkRedis(t.Context(), fake.NewClientset(), nil), "nothing runs yet")
}
