package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// The preflight grows the claims of all Clusters, and of all StatefulSets, which keep the size of their
// templates.
func TestEveryClaimGrows(t *testing.T) {
	var growing []cluster.Claim
	check := func(r cluster.Requirements, _ *pulumi.Context, _ cluster.Access) (cluster.Approval, error) {
		growing = r.Claims
		return cluster.Approval{Kubeconfig: pulumi.String("its kubeconfig")}, nil
	}
	nothingMissing := func(context.Context, map[string]string, authn.Authenticator) map[string]bool {
		return nil
	}
	recording := recorder.Run(t, program(check, nothingMissing, stubbed), settings(t, map[string]string{
		"namePrefix": "alice-", "ingressHost": "alice.example.com",
		"databases": `[{"name": "shop", "namespace": "apps", "storageSize": "2Gi"},
			{"name": "books", "namespace": "apps", "engine": "cloudnative-pg", "archive": false}]`,
	}))
	var claims []string
	for _, recorded := range recording.All() {
		if object, is := recorded.Object.(*unstructured.Unstructured); is && object.GetKind() == "Cluster" {
			size, _, _ := unstructured.NestedString(object.Object, "spec", "storage", "size")
			claims = append(claims, object.GetNamespace()+"/"+object.GetName()+" "+size)
		}
		set, is := recorded.Object.(*appsv1.StatefulSet)
		if !is {
			continue
		}
		require.Equal(t, []string{"spec.volumeClaimTemplates[0].spec.resources.requests.storage"},
			recorded.Request.GetIgnoreChanges(), set.Name)
		template := set.Spec.VolumeClaimTemplates[0]
		for i := range *set.Spec.Replicas {
			claims = append(claims, fmt.Sprintf("%s/%s-%s-%d %s", set.Namespace, template.Name, set.Name, i,
				template.Spec.Resources.Requests.Storage()))
		}
	}
	var wanted, set []string
	for _, claim := range growing {
		wanted = append(wanted, claim.Namespace+"/"+claim.Name+claim.Cluster+" "+claim.Size)
		set = append(set, claim.Set)
	}
	require.ElementsMatch(t, claims, wanted)
	require.ElementsMatch(t, []string{
		"pulumi config set redisStorageSize", "pulumi config set redisStorageSize", "pulumi config set storageSize",
		"pulumi config set postgresStorageSize", "pulumi config set postgresStorageSize",
		"pulumi config set --path 'databases[0].storageSize'", "pulumi config set postgresStorageSize",
	}, set)
}
