package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
)

// shops is a namespace of the user's.
const shops = "shops"

// TestDatabasesOfTheUser adds three databases to a namespace that is there, loses their volumes, and finds
// the data of each again. Nothing of the user's is touched, and no database sees another's backups.
func TestDatabasesOfTheUser(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	_, err := c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: shops, Labels: map[string]string{"team": "shop"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { c.Kubectl("delete", "namespace", shops) })
	c = c.In(shops)
	c.Kubectl("create", "secret", "generic", "books-password", "--from-literal=password=read-them-all")
	databases := map[string][]string{
		"shop":     {"extensions=hstore", "clients=" + shops + "/app=web"},
		"books":    {"memory=256Mi", "existingSecret=books-password", "storageClass=" + newStorageClass(c)},
		"old-shop": {"archive=false"},
	}
	pulumi.AddDatabases(t, shops, databases)
	pulumi.MakeUp(t)
	for name := range databases {
		query(c, name, fmt.Sprintf("CREATE TABLE of AS SELECT '%s' AS name", name))
		job := c.StartJob(name+"-backup", "by-hand", func(*batchv1.JobSpec) {})
		completed, log := c.WaitForJob(job)
		require.True(t, completed, log)
	}
	assert.Equal(t, "hstore", query(c, "shop", "SELECT extname FROM pg_extension WHERE extname = 'hstore'"))
	assert.Equal(t, "read-them-all", c.Kubectl("get", "secret", "books-postgres-client", "--output",
		"go-template={{.data.password | base64decode}}"))
	usersPodsAreFree(t, c)
	accountsAreApart(t, c, slices.Sorted(maps.Keys(databases)))

	before := claimsOf(c)
	c.Kubectl("delete", "statefulset", "--all", "--cascade=foreground")
	c.Kubectl("delete", "pvc", "--all")
	for name, fields := range databases {
		databases[name] = append(fields, "restoreFrom=latest")
	}
	pulumi.AddDatabases(t, shops, databases)
	pulumi.MakeUp(t)
	for name := range databases {
		assert.Equal(t, name, query(c, name, "SELECT name FROM of"))
	}
	restored := claimsOf(c)
	require.Len(t, restored, len(databases))
	for _, claim := range before {
		assert.NotContains(t, restored, claim, "the volumes are new ones")
	}

	volumesGrow(t, c, databases)

	pulumi.Run(t, "config", "rm", "databases")
	said := proc.Run(t, pulumi.Up())
	assert.Contains(t, said, "The database shop is not in the settings any more. "+
		"Its claim data-shop-postgres-ss-0 in the namespace "+shops)
	assert.Equal(t, restored, claimsOf(c), "claims of databases that are no longer in the settings")
	namespace, err := c.CoreV1().Namespaces().Get(t.Context(), shops, metav1.GetOptions{})
	require.NoError(t, err)
	delete(namespace.Labels, "kubernetes.io/metadata.name")
	assert.Equal(t, map[string]string{"team": "shop"}, namespace.Labels)
}

// newStorageClass makes a storage class until the test ends. It is local-path, except that the API server
// lets its claims grow.
func newStorageClass(c *kube.Cluster) (name string) {
	classes := c.StorageV1().StorageClasses()
	class, err := classes.Get(c.T.Context(), "local-path", metav1.GetOptions{})
	require.NoError(c.T, err)
	class.ObjectMeta = metav1.ObjectMeta{Name: "growing"}
	class.AllowVolumeExpansion = ptr.To(true)
	_, err = classes.Create(c.T.Context(), class, metav1.CreateOptions{})
	require.NoError(c.T, err)
	c.T.Cleanup(func() { c.Kubectl("delete", "storageclass", class.Name) })
	return class.Name
}

// volumesGrow makes a claim larger while its StatefulSet stays. If one claim cannot grow, none does.
func volumesGrow(t *testing.T, c *kube.Cluster, databases map[string][]string) {
	sizes := func() string {
		return c.Kubectl("get", "pvc", "--output",
			"go-template={{range .items}}{{.metadata.name}}={{.spec.resources.requests.storage}} {{end}}")
	}
	const sizesBefore = "data-books-postgres-ss-0=1Gi data-old-shop-postgres-ss-0=1Gi " +
		"data-shop-postgres-ss-0=1Gi "
	before := c.Field("statefulset", "books-postgres-ss", "{.metadata.uid}")
	larger := func(name string) { databases[name] = append(databases[name], "storageSize=2Gi") }
	larger("old-shop")
	larger("books")
	pulumi.AddDatabases(t, shops, databases)
	said, err := pulumi.Up().CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(said), "databases[1].storageSize: the claim data-old-shop-postgres-ss-0 in the "+
		"namespace "+shops+" has 1Gi, and cannot have 2Gi: ")
	require.Contains(t, string(said), "pulumi config set --path 'databases[1].storageSize' 1Gi")
	require.Equal(t, sizesBefore, sizes())

	databases["old-shop"] = append(databases["old-shop"], "storageSize=1Gi")
	pulumi.AddDatabases(t, shops, databases)
	proc.Run(t, pulumi.Up())
	require.Equal(t, strings.Replace(sizesBefore, "1Gi", "2Gi", 1), sizes())
	assert.Equal(t, before, c.Field("statefulset", "books-postgres-ss", "{.metadata.uid}"))
	c.WaitUntilRolledOut("statefulset/books-postgres-ss") // its limit of waiting log grows with the volume
	assert.Equal(t, "books", query(c, "books", "SELECT name FROM of"))
}

// claimsOf returns names and ids of a namespace's claims.
func claimsOf(c *kube.Cluster) []string {
	return strings.Fields(c.Kubectl("get", "pvc", "--output",
		`go-template={{range .items}}{{.metadata.name}}/{{.metadata.uid}} {{end}}`))
}

// query asks the server of an added database.
func query(c *kube.Cluster, name, sql string) string {
	return strings.TrimSpace(c.Kubectl("exec", name+"-postgres-ss-0", "-c", "postgres", "--", "psql",
		"--no-align", "--tuples-only", "--quiet", "--command", sql))
}

// usersPodsAreFree tries pods without the stack's labels: they get out as before, and reach only the database
// whose clients they are.
func usersPodsAreFree(t *testing.T, c *kube.Cluster) {
	free, own := "10.43.0.1:443", []string{}
	for _, name := range []string{"shop", "books"} {
		own = append(own, c.Pod(name+"-postgres-ss-0").Status.PodIP+":5432")
	}
	assert.Equal(t, []string{free, own[0]},
		c.Reached(map[string]string{"app": "web"}, free, own[0], own[1]))
}

// accountsAreApart uses the storage server as each database does.
func accountsAreApart(t *testing.T, c *kube.Cluster, names []string) {
	for _, name := range names {
		secret, err := c.CoreV1().Secrets(shops).Get(t.Context(), name+"-backup", metav1.GetOptions{})
		require.NoError(t, err)
		account := string(secret.Data["access-key"])
		client := store.ClientOf(c, account, string(secret.Data["secret-key"]), string(secret.Data["ca.crt"]))
		for _, folder := range append([]string{project, shops}, names...) {
			if slices.Contains(names, folder) {
				folder = shops + "_" + folder
			}
			listed := <-client.ListObjects(t.Context(), store.Bucket,
				minio.ListObjectsOptions{Prefix: folder + "/", Recursive: true})
			if folder == account {
				assert.NoError(t, listed.Err, account)
				assert.NotEmpty(t, listed.Key, account)
			} else {
				assert.Equal(t, minio.AccessDenied, minio.ToErrorResponse(listed.Err).Code, "%s of %s", account, folder)
			}
		}
	}
}
