package cluster

import (
	"context"
	"encoding/json"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// claims returns what the database's claims say. A claim stays unless it is being deleted.
func (d Database) claims(ctx context.Context, client kubernetes.Interface) (has serving, err error) {
	all, err := client.CoreV1().PersistentVolumeClaims(d.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return has, unlessForbidden(err, "claims in the namespace "+d.Namespace)
	}
	has.claims, has.recorded, has.left = map[string]bool{}, map[string]string{}, map[string]bool{}
	for _, claim := range all.Items {
		template, is := strings.CutSuffix(claim.Name, "-"+d.StatefulSet+"-0")
		if is && (template == statefulset.FirstTemplate || statefulset.TemplateMajor(template) > 0) {
			has.claims[template] = claim.DeletionTimestamp == nil
			has.recorded[template] = claim.Annotations[statefulset.ImageAnnotation]
			has.left[template] = claim.Annotations[statefulset.LeftAnnotation] != ""
		}
	}
	return has, nil
}

// record makes a claim say which version has written its data, once a server of that version answers, and
// whether the database goes back from it. A killed update can leave the claims without a StatefulSet, and so
// does a destroy.
func (d Database) record(ctx context.Context, client kubernetes.Interface, has serving, leaves string,
	dryRun []string) error {
	notes := map[string]any{}
	if has.ready && has.image != "" && has.image != has.recorded[has.template] {
		notes[statefulset.ImageAnnotation] = has.image
	}
	switch {
	case leaves == has.template && leaves != "":
		notes[statefulset.LeftAnnotation] = "true"
	case has.left[has.template]:
		notes[statefulset.LeftAnnotation] = nil
	}
	if len(notes) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": notes}})
	if err != nil {
		return err
	}
	name := d.claim(has.template)
	_, err = client.CoreV1().PersistentVolumeClaims(d.Namespace).Patch(ctx, name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: kube.FieldManager, DryRun: dryRun})
	if err != nil && !apierrors.IsNotFound(err) {
		return unlessForbidden(err, "claim "+name+" in the namespace "+d.Namespace)
	}
	return nil
}
