package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// DefaultPostgres is the image of a new database whose settings name none.
const DefaultPostgres = "postgres:18"

// unmarkedPostgres is the image for the data on a claim that does not say its version.
var unmarkedPostgres = server.OfficialImage(strconv.Itoa(statefulset.UnmarkedMajor))

// Version is which Postgres a database runs, and on which claim.
type Version struct {
	Image string
	// Template is the name of the claim's template. CloudNativePG upgrades on the claims that it has.
	Template string
	// OldImage is the older major version whose data moves, or has moved, from the claim OldClaim, which is
	// there still; empty for none.
	OldImage, OldClaim string
	// Rehearses says that the old version runs: then a backup is made before it is stopped.
	Rehearses bool
	// leaves is the template of the claim that the database goes back from.
	leaves, notice string
}

// serving is what the cluster has of a database.
type serving struct {
	// template and image are the StatefulSet's, oldImage what it has moved from; empty if there is none.
	template, image, oldImage string
	// ready says that its server answers.
	ready bool
	// claims are there, by their templates; false if they are being deleted.
	claims map[string]bool
	// recorded are the images whose data the claims have, as they say themselves.
	recorded map[string]string
	// left are the templates of claims that the database has gone back from.
	left map[string]bool
	// took is the duration of the last backup; 0 if that is not known.
	took time.Duration
}

// versions decides on the versions of the databases, which never change by themselves.
func (r Requirements) versions(ctx context.Context, client kubernetes.Interface,
	dryRun ...string) (map[string]Version, error) {
	versions := map[string]Version{}
	var faults []error
	for _, database := range r.Databases {
		if database.Engine != StatefulSet {
			version, err := database.decideInPlace(ctx, client)
			versions[database.Name] = version
			faults = append(faults, err)
			continue
		}
		has, err := database.serving(ctx, client, r.MajorOf)
		if err != nil {
			return nil, err
		}
		version, err := database.decide(has)
		versions[database.Name] = version
		faults = append(faults, err, database.record(ctx, client, has, version.leaves, dryRun))
	}
	return versions, errors.Join(faults...)
}

// serving asks the cluster, as far as the user may know. majorOf returns the major version of an image.
func (d Database) serving(ctx context.Context, client kubernetes.Interface,
	majorOf func(ctx context.Context, image string) string) (has serving, err error) {
	if has, err = d.claims(ctx, client); err != nil {
		return has, err
	}
	set, err := client.AppsV1().StatefulSets(d.Namespace).Get(ctx, d.StatefulSet, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return has, nil
	}
	if err != nil {
		return has, unlessForbidden(err, "StatefulSet "+d.StatefulSet+" in the namespace "+d.Namespace)
	}
	if set.DeletionTimestamp != nil {
		return has, nil
	}
	for _, template := range set.Spec.VolumeClaimTemplates {
		has.template = template.Name
	}
	has.image = set.Annotations[statefulset.ImageAnnotation]
	has.oldImage = set.Annotations[statefulset.OldImageAnnotation]
	if has.image == "" {
		has.image = runningImage(ctx, set, majorOf)
	}
	has.ready = set.Status.ReadyReplicas > 0
	has.took = d.lastBackup(ctx, client)
	return has, nil
}

// runningImage finds out what a StatefulSet runs that does not say it.
func runningImage(ctx context.Context, set *appsv1.StatefulSet,
	majorOf func(ctx context.Context, image string) string) string {
	for _, container := range set.Spec.Template.Spec.Containers {
		if container.Name != statefulset.Container {
			continue
		}
		if major := server.Major(container.Image); major != "" {
			return container.Image
		}
		if majorOf != nil {
			if major := majorOf(ctx, container.Image); major != "" {
				return server.OfficialImage(major)
			}
		}
	}
	return ""
}

// imageOn is the official image for the data on a template's claim. Where the template does not say its
// version, it is the other image.
func imageOn(template, otherwise string) string {
	if major := statefulset.TemplateMajor(template); major > 0 {
		return server.OfficialImage(strconv.Itoa(major))
	}
	return otherwise
}

// lastBackup returns how long the last backup took; 0 if nobody knows.
func (d Database) lastBackup(ctx context.Context, client kubernetes.Interface) (took time.Duration) {
	jobs, err := client.BatchV1().Jobs(d.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0
	}
	var ended time.Time
	for _, job := range jobs.Items {
		start, end := job.Status.StartTime, job.Status.CompletionTime
		isBackup := job.Labels["app"] == d.Backup || job.Labels["app.kubernetes.io/name"] == d.Backup
		if isBackup && start != nil && end != nil && end.After(ended) {
			ended, took = end.Time, end.Sub(start.Time)
		}
	}
	return took
}

// decide returns the version that the database runs after the update.
func (d Database) decide(has serving) (Version, error) {
	current, known := has.current(d.Image)
	if !known {
		image := cmp.Or(d.Image, d.LastImage, DefaultPostgres)
		return Version{Image: image, Template: statefulset.FirstTemplate}, nil
	}
	image := cmp.Or(d.Image, current.Image)
	is, wanted := major(current.Image), major(image)
	switch {
	case wanted == 0 || is == 0 || wanted == is:
		current.Image = image
		current.keepOld(d, has)
		if has.oldImage != "" && current.OldClaim == "" && !has.ready {
			return current, fmt.Errorf("the database %s may not have moved to the claim %s yet, and the claim "+
				"that it moves from is missing, or is being deleted: keep that until its server answers", d.Name,
				d.claim(current.Template))
		}
		return current, nil
	case wanted > is:
		return d.upgrade(has, current, image)
	}
	return d.goBack(has, current, image)
}

// major is 0 for an image that does not say it.
func major(image string) int {
	number, _ := strconv.Atoi(server.Major(image))
	return number
}

// current returns what the database runs: what its StatefulSet says, or else its newest claim that it has not
// gone back from. Only a server that answers is of the version of its data for sure, and the first claim of
// an earlier release does not say its version.
func (has serving) current(wanted string) (v Version, known bool) {
	if has.template != "" {
		v = Version{Image: cmp.Or(has.image, wanted), Template: has.template}
		if !has.ready {
			v.Image = cmp.Or(has.recorded[v.Template], v.Image)
		}
		return v, true
	}
	for template := range has.claims {
		if !known || has.isNewer(template, v.Template) {
			v, known = Version{Template: template}, true
		}
	}
	v.Image = cmp.Or(has.recorded[v.Template], imageOn(v.Template, cmp.Or(wanted, unmarkedPostgres)))
	return v, known
}

func (has serving) isNewer(template, than string) bool {
	if has.left[template] != has.left[than] {
		return has.left[than]
	}
	return statefulset.TemplateMajor(template) > statefulset.TemplateMajor(than)
}

// keepOld keeps the claim that the data has moved from, while it is there.
func (v *Version) keepOld(d Database, has serving) {
	now, before := statefulset.TemplateMajor(v.Template), -1
	var old string
	for template, stays := range has.claims {
		if number := statefulset.TemplateMajor(template); stays && number < now && number > before {
			old, before = template, number
		}
	}
	if before < 0 {
		return
	}
	v.OldClaim = d.claim(old)
	v.OldImage = cmp.Or(has.recorded[old], has.oldImage, imageOn(old, unmarkedPostgres))
}

func (d Database) claim(template string) string {
	return kube.ClaimNames(template, d.StatefulSet, 1)[0]
}

// follow gives the claims that grow the names of the versions.
func (r Requirements) follow(versions map[string]Version) {
	for _, database := range r.Databases {
		version, is := versions[database.Name]
		if !is {
			continue
		}
		for i := range r.Claims {
			claim := &r.Claims[i]
			if claim.Namespace == database.Namespace && claim.Name == database.Claim {
				claim.Name = database.claim(version.Template)
			}
		}
	}
}

// notices tell what the update does to versions, in the order of the databases.
func (r Requirements) notices(versions map[string]Version) (notices []string) {
	for _, database := range r.Databases {
		if notice := versions[database.Name].notice; notice != "" {
			notices = append(notices, notice)
		}
	}
	return notices
}
