package cluster

import (
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

func claimOf(name, size string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "exercises", Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}}},
	}
}

// wanted are the claims that the settings describe.
func wanted(size string, names ...string) (r Requirements) {
	for _, name := range names {
		r.Claims = append(r.Claims, Claim{Namespace: "exercises", Name: name, Size: size,
			Setting: "databases[0].storageSize", Set: "pulumi config set --path 'databases[0].storageSize'"})
	}
	return r
}

// withClaims is a cluster that grows claims, but not the fixed one. It returns what it was asked for: names
// and patches, in a dry run with a question mark.
func withClaims(claims ...runtime.Object) (client *fake.Clientset, asked *[]string) {
	client, asked = newCluster(nil, claims...), new([]string)
	client.PrependReactor("patch", "persistentvolumeclaims",
		func(action clienttesting.Action) (bool, runtime.Object, error) {
			patch := action.(clienttesting.PatchActionImpl)
			if patch.Name == "fixed" {
				return true, nil, apierrors.NewForbidden(corev1.Resource("persistentvolumeclaims"), patch.Name,
					errors.New("its class cannot grow"))
			}
			request := patch.Name + " " + string(patch.Patch)
			if len(patch.PatchOptions.DryRun) > 0 {
				request += "?"
			}
			*asked = append(*asked, request)
			return true, claimOf(patch.Name, "1Gi"), nil
		})
	return client, asked
}

func grow(t *testing.T, r Requirements, client *fake.Clientset,
	options ...recorder.Option) ([]string, error) {
	t.Helper()
	recording, err := recorder.Try(t, func(ctx *pulumi.Context) error { return r.growClaims(ctx, client) },
		options...)
	return recording.Logs(), err
}

func TestClaimsGrow(t *testing.T) {
	const (
		patch  = `small {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}`
		notice = "databases[0].storageSize: the claim small in the namespace exercises grows from 1Gi to 2Gi."
	)
	deleted := claimOf("deleted", "1Gi")
	deleted.DeletionTimestamp, deleted.Finalizers = &metav1.Time{}, []string{"kubernetes.io/pvc-protection"}
	r := wanted("2Gi", "small", "right", "new", "deleted")

	client, asked := withClaims(claimOf("small", "1Gi"), claimOf("right", "2048Mi"), deleted)
	logs, err := grow(t, r, client, recorder.Preview())
	require.NoError(t, err)
	require.Equal(t, []string{notice}, logs)
	require.Equal(t, []string{patch + "?"}, *asked)

	client, asked = withClaims(claimOf("small", "1Gi"), claimOf("right", "2048Mi"), deleted)
	logs, err = grow(t, r, client)
	require.NoError(t, err)
	require.Equal(t, []string{notice}, logs)
	require.Equal(t, []string{patch + "?", patch}, *asked)
}

// If one claim cannot have its size, none is changed.
func TestClaimsThatCannotGrow(t *testing.T) {
	client, asked := withClaims(claimOf("small", "1Gi"), claimOf("fixed", "1Gi"))
	logs, err := grow(t, wanted("2Gi", "small", "fixed"), client)
	require.ErrorContains(t, err, "databases[0].storageSize: the claim fixed in the namespace exercises has "+
		`1Gi, and cannot have 2Gi: persistentvolumeclaims "fixed" is forbidden: its class cannot grow; `+
		"set its size again with pulumi config set --path 'databases[0].storageSize' 1Gi, or give it another "+
		"volume: docs/data.md#another-volume")
	require.Empty(t, logs)
	require.NotContains(t, *asked, `small {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}`)
}

// Each server of a Cluster has a claim.
func TestClaimsOfAClusterGrow(t *testing.T) {
	var claims []runtime.Object
	for name, labels := range map[string]map[string]string{"postgres-1": {"cnpg.io/cluster": "postgres"},
		"postgres-3": {"cnpg.io/cluster": "postgres"}, "shop-1": {"cnpg.io/cluster": "shop"}, "data": nil} {
		claim := claimOf(name, "1Gi")
		claim.Labels = labels
		claims = append(claims, claim)
	}
	r := wanted("2Gi", "")
	r.Claims[0].Cluster = "postgres"
	client, asked := withClaims(claims...)
	_, err := grow(t, r, client, recorder.Preview())
	require.NoError(t, err)
	const patch = ` {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}?`
	require.ElementsMatch(t, []string{"postgres-1" + patch, "postgres-3" + patch}, *asked)

	client, _ = withClaims()
	client.PrependReactor("list", "persistentvolumeclaims",
		func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("not now") })
	_, err = grow(t, r, client)
	require.ErrorContains(t, err,
		"asking the cluster for its claims of postgres in the namespace exercises: not now")
}

func TestClaimsThatTheUserMayNotSee(t *testing.T) {
	client, asked := withClaims()
	client.PrependReactor("get", "persistentvolumeclaims",
		func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(corev1.Resource("persistentvolumeclaims"), "small", nil)
		})
	_, err := grow(t, wanted("2Gi", "small"), client)
	require.NoError(t, err)
	require.Empty(t, *asked)
	client.PrependReactor("get", "persistentvolumeclaims",
		func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("not now") })
	_, err = grow(t, wanted("2Gi", "small"), client)
	require.ErrorContains(t, err, "asking the cluster for its claim small in the namespace exercises: not now")
}
