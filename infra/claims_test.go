package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

// The preflight grows the claims of all StatefulSets, which keep the size of their templates.
func TestEveryClaimGrows(t *testing.T) {
	var growing []cluster.Claim
	check := func(r cluster.Requirements, _ *pulumi.Context, _ cluster.Access) (cluster.Approval, error) {
		growing = r.Claims
		return cluster.Approval{Kubeconfig: pulumi.String("its kubeconfig")}, nil
	}
	nothingMissing := func(context.Context, map[string]string, authn.Authenticator) map[string]bool {
		return nil
	}
	recording := recorder.Run(t, program(check, nothingMissing, nil), settings(t, map[string]string{
		"namePrefix": "alice-", "ingressHost": "alice.example.com",
		"databases": `[{"name": "shop", "namespace": "apps", "storageSize": "2Gi"}]`,
	}))
	var claims []string
	for _, recorded := range recording.All() {
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
		wanted = append(wanted, claim.Namespace+"/"+claim.Name+" "+claim.Size)
		set = append(set, claim.Set)
	}
	require.ElementsMatch(t, claims, wanted)
	require.ElementsMatch(t, []string{
		"pulumi config set redisStorageSize", "pulumi config set redisStorageSize", "pulumi config set storageSize",
		"pulumi config set postgresStorageSize", "pulumi config set postgresStorageSize",
		"pulumi config set --path 'databases[0].storageSize'",
	}, set)
}
