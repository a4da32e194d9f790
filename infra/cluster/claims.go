package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Claim is a claim that Kubernetes makes from the template of a StatefulSet.
type Claim struct {
	Namespace, Name string
	// Cluster is a Cluster of CloudNativePG, for the claims of all its servers. Name is then empty.
	Cluster string
	// Size is a Kubernetes quantity, the value of Setting. Set is the command that sets it, without the value.
	Size, Setting, Set string
}

// growClaims gives claims the sizes of the settings: the template of a StatefulSet never changes, and
// CloudNativePG grows no claim of a server that a full volume has stopped. The API server first says of each
// whether it can. A volume grows only if its storage class allows it, and never shrinks.
func (r Requirements) growClaims(ctx *pulumi.Context, client kubernetes.Interface) error {
	notices, err := r.resizeClaims(ctx.Context(), client, metav1.DryRunAll)
	if err != nil {
		return err
	}
	if !ctx.DryRun() {
		notices, err = r.resizeClaims(ctx.Context(), client)
	}
	for _, notice := range notices {
		err = errors.Join(err, ctx.Log.Info(notice, nil))
	}
	return err
}

// resizeClaims returns a notice for each claim that had another size.
func (r Requirements) resizeClaims(ctx context.Context, client kubernetes.Interface,
	dryRun ...string) (notices []string, err error) {
	for _, described := range r.Claims {
		claims, missed := described.find(ctx, client)
		err = errors.Join(err, missed)
		for _, claim := range claims {
			was, refused := claim.resize(ctx, client, dryRun)
			err = errors.Join(err, refused)
			if was != "" && refused == nil {
				notices = append(notices, fmt.Sprintf("%s: the claim %s in the namespace %s grows from %s to %s.",
					claim.Setting, claim.Name, claim.Namespace, was, claim.Size))
			}
		}
	}
	return notices, err
}

// find returns the claims of a Cluster by their names.
func (c Claim) find(ctx context.Context, client kubernetes.Interface) ([]Claim, error) {
	if c.Cluster == "" {
		return []Claim{c}, nil
	}
	list, err := client.CoreV1().PersistentVolumeClaims(c.Namespace).List(ctx,
		metav1.ListOptions{LabelSelector: "cnpg.io/cluster=" + c.Cluster})
	if err != nil {
		return nil, unlessForbidden(err, "claims of "+c.Cluster+" in the namespace "+c.Namespace)
	}
	var claims []Claim
	for _, found := range list.Items {
		c.Name = found.Name
		claims = append(claims, c)
	}
	return claims, nil
}

// resize returns the size of a claim that had another one. A claim that is not there yet, or is being
// deleted, is made with its size.
func (c Claim) resize(ctx context.Context, client kubernetes.Interface,
	dryRun []string) (was string, err error) {
	claims := client.CoreV1().PersistentVolumeClaims(c.Namespace)
	claim, err := claims.Get(ctx, c.Name, metav1.GetOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			return "", nil
		}
		return "", unlessForbidden(err, "claim "+c.Name+" in the namespace "+c.Namespace)
	}
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if claim.DeletionTimestamp != nil || size.Cmp(resource.MustParse(c.Size)) == 0 {
		return "", nil
	}
	_, err = claims.Patch(ctx, c.Name, types.MergePatchType,
		fmt.Appendf(nil, `{"spec": {"resources": {"requests": {"storage": %q}}}}`, c.Size),
		metav1.PatchOptions{FieldManager: kube.FieldManager, DryRun: dryRun})
	if err != nil {
		return "", fmt.Errorf("%s: the claim %s in the namespace %s has %s, and cannot have %s: %w; "+
			"set its size again with %s %[4]s, or give it another volume: docs/data.md#another-volume", c.Setting,
			c.Name, c.Namespace, &size, c.Size, err, c.Set)
	}
	return size.String(), nil
}
