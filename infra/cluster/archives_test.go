package cluster

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// A new Cluster never archives to a folder that has the log of another one, and a database comes back from
// the newest folder that reaches back to the time.
func TestArchivesOfCloudNativePG(t *testing.T) {
	const (
		store  = "/apis/barmancloud.cnpg.io/v1/namespaces/apps/objectstores/shop-postgres"
		own    = "shop-postgres-20261120t000000z"
		before = "shop-postgres-20261110t000000z"
	)
	now := time.Date(2026, 11, 30, 20, 0, 0, 0, time.UTC)
	there := map[string]any{"spec": map[string]any{"plugins": []any{map[string]any{
		"parameters": map[string]any{"serverName": own}}}}}
	windows := map[string]any{"status": map[string]any{"serverRecoveryWindow": map[string]any{
		own:      map[string]any{"firstRecoverabilityPoint": "2026-11-20T00:01:00Z"},
		before:   map[string]any{"firstRecoverabilityPoint": "2026-11-10T00:01:00Z"},
		"failed": map[string]any{"lastFailedBackupTime": "2026-11-21T00:01:00Z"},
	}}}
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return parsed
	}
	for name, test := range map[string]struct {
		recovered string
		to        time.Time
		lost      bool
		objects   map[string]any
		found     Archive
		err       string
	}{
		"a new Cluster":        {lost: true, found: Archive{Name: "shop-postgres-20261130t200000z"}},
		"one that is there":    {found: Archive{Name: own}},
		"a time of its own":    {recovered: "then", to: at("2026-11-29T14:05:00Z"), found: Archive{own, own}},
		"a time of one before": {recovered: "then", to: at("2026-11-15T14:05:00Z"), found: Archive{own, before}},
		"the end, of one that is lost": {recovered: "end", lost: true,
			found: Archive{"shop-postgres-20261130t200000z", own}},
		"the end, of one before": {recovered: "end", found: Archive{own, before}},
		"recovered already": {recovered: "then", to: at("2025-11-15T14:05:00Z"), found: Archive{Name: own},
			objects: map[string]any{"/apis/postgresql.cnpg.io/v1/namespaces/apps/clusters/then": map[string]any{}}},
		"too early": {recovered: "then", to: at("2026-11-01T14:05:00Z"),
			err: "restoreFrom: the archive of the database shop has no base backup from before " +
				"2026-11-01T14:05:00Z; it can be restored from these times on: 2026-11-10T00:01:00Z in " + before + ", " +
				"2026-11-20T00:01:00Z in " + own + ". Nothing was changed"},
		"nothing": {recovered: "end", objects: map[string]any{store: map[string]any{}},
			err: "has no base backup of a server before this one; it can be restored from these times on: none."},
	} {
		t.Run(name, func(t *testing.T) {
			objects := map[string]any{store: windows}
			if !test.lost {
				objects[clusterPath] = there
			}
			for path, object := range test.objects {
				objects[path] = object
			}
			r := Requirements{Databases: []Database{{Name: "shop", Namespace: "apps", Cluster: "shop-postgres",
				Engine: CloudNativePGEngine, Archived: true, ArchiveSetting: "databases[1].archive",
				Recovered: test.recovered, RestoredTo: test.to}, {Name: "todo", Engine: StatefulSet, Archived: true}}}
			found, err := r.archives(t.Context(), answering(t, objects), now)
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[string]Archive{"shop": test.found}, found)
		})
	}
}

func TestFindingThePlugin(t *testing.T) {
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/objectstores.barmancloud.cnpg.io"
	definition := func(owner string) map[string]any {
		return map[string]any{path: map[string]any{"metadata": map[string]any{
			"labels": map[string]any{"stateful-k3s/installed-by": owner}}}}
	}
	uses := "The cluster has plugin-barman-cloud. The stack uses it, and leaves it as it is."
	for name, test := range map[string]struct {
		objects map[string]any
		engine  string
		found   CloudNativePG
		said    string
	}{
		"none": {nil, CloudNativePGEngine, CloudNativePG{},
			"The cluster has no plugin-barman-cloud, with which CloudNativePG archives. The stack installs it."},
		"not needed":      {definition("bob.dev"), StatefulSet, CloudNativePG{}, ""},
		"somebody's":      {definition(""), CloudNativePGEngine, CloudNativePG{HasPlugin: true}, uses},
		"another stack's": {definition("bob.dev"), CloudNativePGEngine, CloudNativePG{HasPlugin: true}, uses},
		"the stack's own": {definition("alice.dev"), CloudNativePGEngine, CloudNativePG{}, ""},
		"on an old cluster": {map[string]any{path: definition("alice.dev")[path],
			"/version": map[string]any{"gitVersion": "v1.34.2+k3s1"}}, CloudNativePGEngine,
			CloudNativePG{AnyNode: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := Requirements{Owner: "alice.dev", Databases: []Database{{Engine: test.engine, Archived: true}}}
			var found CloudNativePG
			var said string
			objects := map[string]any{"/version": map[string]any{"gitVersion": "v1.35.0+k3s1"}}
			maps.Copy(objects, test.objects)
			require.NoError(t, r.findPlugin(t.Context(), answering(t, objects), &found,
				func(what string) { said = what }))
			require.Equal(t, test.found, found)
			require.Equal(t, test.said, said)
		})
	}
}

// The name postgres, of the built-in databases' Clusters, is also in the API's group.
func TestAClusterWithANameInItsPathIsRecoveredOnce(t *testing.T) {
	const clusters = "/apis/postgresql.cnpg.io/v1/namespaces/exercises/clusters/"
	r := Requirements{Databases: []Database{{Name: "pingpong", Namespace: "exercises", Cluster: "postgres",
		Engine: CloudNativePGEngine, Archived: true, Recovered: "postgres-end"}}}
	found, err := r.archives(t.Context(), answering(t, map[string]any{
		clusters + "postgres":     map[string]any{},
		clusters + "postgres-end": map[string]any{},
	}), time.Date(2026, 11, 30, 20, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, map[string]Archive{"pingpong": {Name: "postgres-20261130t200000z"}}, found)
}

// The operator gives the plugin to the primary last, and replaces its pod for that.
func TestAwaitingTheArchiver(t *testing.T) {
	pod := func(role, container string, deleted *metav1.Time) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: role + container, Namespace: "apps",
			Labels:            map[string]string{"cnpg.io/cluster": "shop-postgres", "cnpg.io/instanceRole": role},
			DeletionTimestamp: deleted, Finalizers: []string{"example.com/stays"}},
			Spec: corev1.PodSpec{InitContainers: []corev1.Container{{Name: container}}}}
	}
	const plugin = "plugin-barman-cloud"
	await := func(pods ...runtime.Object) error {
		client := fake.NewClientset(pods...)
		ctx, cancel := context.WithCancelCause(t.Context())
		listed := 0
		client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
			if listed++; listed > 1 {
				cancel(errors.New("it asks again"))
			}
			return false, nil, nil
		})
		return awaitArchiver(ctx, client, "apps", "shop-postgres")
	}
	require.NoError(t, await(pod("primary", plugin, nil)))
	for name, pods := range map[string][]runtime.Object{
		"none":           nil,
		"a standby":      {pod("replica", plugin, nil), pod("primary", "bootstrap-controller", nil)},
		"an old primary": {pod("primary", plugin, &metav1.Time{Time: time.Now()})},
	} {
		require.ErrorContains(t, await(pods...), "waiting for plugin-barman-cloud beside the primary of "+
			"shop-postgres in apps, without which no base backup can be made", name)
	}
}
