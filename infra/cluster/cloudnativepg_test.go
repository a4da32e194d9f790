package cluster

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// answering returns a client of a cluster that has these objects, by their paths.
func answering(t *testing.T, objects map[string]any) kubernetes.Interface {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		object, there := objects[r.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		if !there {
			w.WriteHeader(http.StatusNotFound)
			object = map[string]any{"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404}
		}
		if err := json.NewEncoder(w).Encode(object); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	require.NoError(t, err)
	return client
}

const (
	definitionPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusters.postgresql.cnpg.io"
	operatorsPath  = "/apis/apps/v1/deployments"
	apiPath        = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
	clusterPath    = "/apis/postgresql.cnpg.io/v1/namespaces/apps/clusters/shop-postgres"
	claimPath      = "/api/v1/namespaces/apps/persistentvolumeclaims/data-shop-postgres-ss-0"
)

func operators(images ...string) map[string]any {
	items := []any{}
	for _, image := range images {
		items = append(items, map[string]any{
			"metadata": map[string]any{"name": "cnpg", "namespace": "operators"},
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": "manager", "image": image}}}}},
		})
	}
	return map[string]any{"kind": "DeploymentList", "apiVersion": "apps/v1", "items": items}
}

var apiEndpoints = map[string]any{"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1",
	"items": []any{map[string]any{"addressType": "IPv4", "ports": []any{map[string]any{"port": 6443}},
		"endpoints": []any{map[string]any{"addresses": []any{"10.1.2.3"}}}}}}

func TestFindingCloudNativePG(t *testing.T) {
	definition := func(owner string) map[string]any {
		return map[string]any{"metadata": map[string]any{"name": "clusters.postgresql.cnpg.io",
			"labels": map[string]any{"stateful-k3s/installed-by": owner}}}
	}
	const image = "ghcr.io/cloudnative-pg/cloudnative-pg:"
	uses := func(version string) string {
		return "The cluster has CloudNativePG " + version + " in the namespace operators. The stack uses it, and " +
			"leaves it as it is."
	}
	for name, test := range map[string]struct {
		definition, operators map[string]any
		namespace, said, err  string
	}{
		"none":            {nil, operators(), "", "The cluster has no CloudNativePG. The stack installs it.", ""},
		"the stack's own": {definition("alice.dev"), operators(image + "1.20.0"), "", "", ""},
		"somebody's":      {definition(""), operators(image + "1.30.1@sha256:00"), "operators", uses("1.30.1"), ""},
		"another stack's": {definition("bob.dev"), operators("mirror:5000/cnpg:1.31.0"), "operators",
			uses("1.31.0"), ""},
		"an old one": {definition(""), operators(image + "1.29.2"), "", "",
			"CloudNativePG 1.29.2 runs in the namespace operators, and the stack needs 1.30 or newer, before 2.0: " +
				"upgrade it, "},
		"one without a version": {definition(""), operators("mirror:5000/cnpg@sha256:00"), "", "",
			"the version of CloudNativePG in the namespace operators is not in its image's tag: give the " +
				"Deployment cnpg the label app.kubernetes.io/version"},
		"no operator": {definition(""), operators(), "", "",
			"the cluster knows clusters.postgresql.cnpg.io, and has 0 Deployments with the label "},
	} {
		t.Run(name, func(t *testing.T) {
			objects := map[string]any{operatorsPath: test.operators, apiPath: apiEndpoints}
			if test.definition != nil {
				objects[definitionPath] = test.definition
			}
			var said string
			r := Requirements{Owner: "alice.dev", CloudNativePG: true}
			found, err := r.findCloudNativePG(t.Context(), answering(t, objects), func(what string) { said = what })
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.namespace, found.Namespace)
			require.Equal(t, test.said, said)
			require.Equal(t, "10.1.2.3:6443", found.APIServers[0].String())
		})
	}
	found, err := Requirements{}.findCloudNativePG(t.Context(), answering(t, nil),
		func(string) { t.Error("said") })
	require.NoError(t, err, "a stack without the engine asks nothing")
	require.Empty(t, found)
}

// The servers of an engine would start empty beside the data that the other one has.
func TestAnEngineDoesNotStartWithoutTheData(t *testing.T) {
	both := map[string]any{clusterPath: map[string]any{}, claimPath: map[string]any{}}
	for name, test := range map[string]struct {
		engine, last string
		restored     bool
		objects      map[string]any
		err          string
	}{
		"a new database":  {CloudNativePGEngine, "", false, nil, ""},
		"the same engine": {StatefulSet, StatefulSet, false, both, ""},
		"a lost state":    {CloudNativePGEngine, "", false, both, ""},
		"restored":        {CloudNativePGEngine, StatefulSet, true, both, ""},
		"to several servers": {CloudNativePGEngine, StatefulSet, false, map[string]any{claimPath: map[string]any{}},
			"engine: the data of the database shop is with the engine statefulset, and cloudnative-pg would start " +
				"without it: to move it, stop what writes to the database, make a backup, and set restoreFrom to " +
				"latest too, as docs/high-availability.md says; to stay, set engine to statefulset. Nothing was changed"},
		"after a destroy": {CloudNativePGEngine, "", false, map[string]any{claimPath: map[string]any{}},
			"is with the engine statefulset"},
		"back": {StatefulSet, CloudNativePGEngine, false, both, "is with the engine cloudnative-pg"},
		"back after the claim was deleted": {StatefulSet, "", false, map[string]any{clusterPath: map[string]any{}},
			"is with the engine cloudnative-pg"},
	} {
		t.Run(name, func(t *testing.T) {
			r := Requirements{Databases: []Database{{Name: "shop", Namespace: "apps", Claim: "data-shop-postgres-ss-0",
				Cluster: "shop-postgres", Engine: test.engine, LastEngine: test.last, Restored: test.restored,
				Setting: "engine"}}}
			err := r.keepsData(t.Context(), answering(t, test.objects))
			if test.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.err)
			}
		})
	}
}

func TestVolumesStayInTheirStorageClass(t *testing.T) {
	there := map[string]any{clusterPath: map[string]any{
		"spec": map[string]any{"storage": map[string]any{"storageClass": "longhorn"}},
	}}
	d := Database{Name: "shop", Namespace: "apps", Cluster: "shop-postgres", Engine: CloudNativePGEngine,
		StorageClass: "longhorn"}
	require.NoError(t, d.canFollow(t.Context(), answering(t, there)))
	d.StorageClass = "local-path"
	require.ErrorContains(t, d.canFollow(t.Context(), answering(t, there)),
		"the volumes of the database shop are of the storage class longhorn, and stay in it: ")
}
