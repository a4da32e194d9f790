package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
)

// shop is a database whose image is set.
func shop(image string) Database {
	return Database{Name: "shop", Namespace: "apps", Engine: StatefulSet, StatefulSet: "postgres-ss",
		Claim: "data-postgres-ss-0", Backup: "backup", Image: image, ImageSetting: "postgresImage"}
}

// servingOn is what the cluster has of a database that runs.
func servingOn(template, image string, claims ...string) serving {
	has := serving{template: template, image: image, claims: map[string]bool{}, ready: true}
	for _, claim := range claims {
		has.claims[claim] = true
	}
	return has
}

func TestVersionsChangeWhenTheyAreAsked(t *testing.T) {
	stopped := func(claims ...string) serving { return servingOn("", "", claims...) }
	moved := servingOn("data-18", "postgres:18", "data", "data-18")
	moved.oldImage = "postgres:17"
	unready := moved
	unready.ready, unready.claims = false, map[string]bool{"data": false, "data-18": true}
	dropped := unready
	dropped.ready = true
	restored := shop("postgres:18")
	restored.Restored = true
	back, lost := shop("postgres:17"), shop("")
	lost.LastImage = "postgres:17"
	back.GoesBack = true
	for name, test := range map[string]struct {
		database Database
		has      serving
		want     Version
		err      string
	}{
		"new": {shop(""), serving{}, Version{Image: "postgres:18", Template: "data"}, ""},
		"new, with an image": {shop("postgres:18"), serving{},
			Version{Image: "postgres:18", Template: "data"}, ""},
		"stays": {shop(""), servingOn("data", "postgres:17.5", "data"),
			Version{Image: "postgres:17.5", Template: "data"}, ""},
		"a minor version": {shop("postgres:17.6"), servingOn("data", "postgres:17.5", "data"),
			Version{Image: "postgres:17.6", Template: "data"}, ""},
		"began with 18": {shop(""), servingOn("data", "postgres:18", "data"),
			Version{Image: "postgres:18", Template: "data"}, ""},
		"nobody knows what runs": {shop("postgres:18"), servingOn("data", "", "data"),
			Version{Image: "postgres:18", Template: "data"}, ""},
		"new, after its claim was lost": {lost, serving{}, Version{Image: "postgres:17", Template: "data"}, ""},
		"destroyed, from an earlier release": {shop(""), stopped("data"),
			Version{Image: "postgres:17", Template: "data"}, ""},
		"destroyed, began with 18": {shop("postgres:18"), stopped("data"),
			Version{Image: "postgres:18", Template: "data"}, ""},
		"upgrade": {shop("postgres:18"), servingOn("data", "mine/pg:17-gis", "data"), Version{Image: "postgres:18",
			Template: "data-18", OldImage: "mine/pg:17-gis", OldClaim: "data-postgres-ss-0", Rehearses: true}, ""},
		"upgraded": {shop("postgres:18"), moved, Version{Image: "postgres:18", Template: "data-18",
			OldImage: "postgres:17", OldClaim: "data-postgres-ss-0"}, ""},
		"upgraded, without the setting": {shop(""), moved, Version{Image: "postgres:18", Template: "data-18",
			OldImage: "postgres:17", OldClaim: "data-postgres-ss-0"}, ""},
		"upgraded and destroyed": {shop(""), stopped("data", "data-18"), Version{Image: "postgres:18",
			Template: "data-18", OldImage: "postgres:17", OldClaim: "data-postgres-ss-0"}, ""},
		"the old claim is dropped": {shop(""), dropped, Version{Image: "postgres:18", Template: "data-18"}, ""},
		"upgraded again": {shop("postgres:19"), moved, Version{Image: "postgres:19", Template: "data-19",
			OldImage: "postgres:18", OldClaim: "data-18-postgres-ss-0", Rehearses: true}, ""},
		"back": {back, moved, Version{Image: "postgres:17", Template: "data", leaves: "data-18"}, ""},
		"back again": {back, servingOn("data", "postgres:17", "data", "data-18"),
			Version{Image: "postgres:17", Template: "data"}, ""},

		"the old claim is dropped too early": {shop(""), unready, Version{},
			"the database shop may not have moved to the claim data-18-postgres-ss-0 yet, and the claim that it"},
		"back without leave": {shop("postgres:17"), moved, Version{}, "postgresImage: the database shop is of " +
			"PostgreSQL 18, and postgres:17 is older: to go back to the claim data-postgres-ss-0, " +
			"and lose everything " +
			"that was written since the move, set postgresGoBack to shop; to stay, take an image of PostgreSQL 18. " +
			"Nothing was changed"},
		"older, without a claim": {back, servingOn("data", "postgres:18", "data"), Version{},
			"no claim with data of that version is there, so take an image of PostgreSQL 18"},
		"a claim of an earlier move": {shop("postgres:18"), servingOn("data", "postgres:17", "data", "data-18"),
			Version{},
			"the claim data-18-postgres-ss-0 is there from an earlier move, and lacks what was written since: if " +
				"nobody needs it, kubectl -n apps delete pvc data-18-postgres-ss-0. Nothing was changed"},
		"a restore": {restored, servingOn("data", "postgres:17", "data"), Version{}, "restoreFrom is set"},
		"no data": {shop("postgres:18"), servingOn("data", "postgres:17"), Version{},
			"its claim data-postgres-ss-0 is missing, or is being deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			version, err := test.database.decide(test.has)
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			version.notice = ""
			require.Equal(t, test.want, version)
		})
	}
}

// Without a StatefulSet, or with one whose server does not answer, the claim says what it has.
func TestVersionsAreAskedOfTheClaims(t *testing.T) {
	killed, begun := servingOn("", "", "data"), servingOn("", "", "data")
	killed.recorded = map[string]string{"data": "mine/pg:17-gis"}
	begun.recorded = map[string]string{"data": "postgres:18"}
	refused := servingOn("data", "postgres:18", "data")
	refused.ready = false
	known := refused
	known.recorded = map[string]string{"data": "postgres:17"}
	gone, onlyLeft := servingOn("", "", "data", "data-18"), servingOn("", "", "data-18")
	gone.left, gone.recorded = map[string]bool{"data-18": true}, known.recorded
	onlyLeft.left = gone.left
	for name, test := range map[string]struct {
		database Database
		has      serving
		want     Version
	}{
		"destroyed": {shop(""), begun, Version{Image: "postgres:18", Template: "data"}},
		"killed before its StatefulSet was made anew": {shop("postgres:18"), killed, Version{Image: "postgres:18",
			Template: "data-18", OldImage: "mine/pg:17-gis", OldClaim: "data-postgres-ss-0"}},
		"refused by setup, from an earlier release": {shop("postgres:17"), refused,
			Version{Image: "postgres:17", Template: "data"}},
		"refused by setup":        {shop(""), known, Version{Image: "postgres:17", Template: "data"}},
		"gone back and destroyed": {shop(""), gone, Version{Image: "postgres:17", Template: "data"}},
		"gone back, and the old claim is lost": {shop(""), onlyLeft,
			Version{Image: "postgres:18", Template: "data-18"}},
	} {
		t.Run(name, func(t *testing.T) {
			version, err := test.database.decide(test.has)
			require.NoError(t, err)
			version.notice = ""
			require.Equal(t, test.want, version)
		})
	}

	_, err := shop("postgres:18").decide(gone)
	require.ErrorContains(t, err, "the claim data-18-postgres-ss-0 is there from an earlier move")
}

func TestVersionsAreAskedOfTheCluster(t *testing.T) {
	claim := func(name string) runtime.Object {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: name}}
	}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "postgres-ss"},
		Status: appsv1.StatefulSetStatus{ReadyReplicas: 1}}
	set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	set.Spec.Template.Spec.Containers = []corev1.Container{{Name: "postgres",
		Image: "team/postgres:dev@sha256:1"}}
	start := metav1.NewTime(time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC))
	end := metav1.NewTime(start.Add(3 * time.Minute))
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "backup-1",
		Labels: map[string]string{"app": "backup"}},
		Status: batchv1.JobStatus{StartTime: &start, CompletionTime: &end}}
	objects := []runtime.Object{set, job, claim("data-postgres-ss-0"), claim("data-other-postgres-ss-0"),
		claim("data-big-postgres-ss-0")}
	r := Requirements{Databases: []Database{shop("postgres:18")},
		Claims:  []Claim{{Namespace: "apps", Name: "data-postgres-ss-0"}},
		MajorOf: func(context.Context, string) string { return "17" }}

	versions, err := r.versions(t.Context(), fake.NewClientset(objects...))
	require.NoError(t, err)
	require.Equal(t, "postgres:17", versions["shop"].OldImage, "as the registry says")
	require.Contains(t, r.notices(versions)[0], "The database shop moves from PostgreSQL 17 to 18. ")
	require.Contains(t, r.notices(versions)[0], "(about 3m, as the last backup took)")
	r.follow(versions)
	require.Equal(t, "data-18-postgres-ss-0", r.Claims[0].Name, "the claim that grows")

	set.Annotations = map[string]string{statefulset.ImageAnnotation: "mine/pg:18"}
	client := fake.NewClientset(objects...)
	versions, err = r.versions(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, Version{Image: "postgres:18", Template: "data"}, versions["shop"],
		"as the StatefulSet says")

	// The claim says it too from now on, for an update that finds no StatefulSet.
	require.NoError(t, client.AppsV1().StatefulSets("apps").Delete(t.Context(), "postgres-ss",
		metav1.DeleteOptions{}))
	r.Databases[0].Image = ""
	versions, err = r.versions(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, Version{Image: "mine/pg:18", Template: "data"}, versions["shop"], "as the claim says")
	// Where it has gone back, the claim of the newer version says so.
	set.Spec.VolumeClaimTemplates[0].Name = "data-18"
	r.Databases[0].Image, r.Databases[0].GoesBack = "postgres:17", true
	client = fake.NewClientset(append(objects, claim("data-18-postgres-ss-0"))...)
	left := func() string {
		is, err := client.CoreV1().PersistentVolumeClaims("apps").Get(t.Context(), "data-18-postgres-ss-0",
			metav1.GetOptions{})
		require.NoError(t, err)
		return is.Annotations[statefulset.LeftAnnotation]
	}
	_, err = r.versions(t.Context(), client)
	require.NoError(t, err)
	require.Equal(t, "true", left())
	r.Databases[0].Image = "postgres:18"
	_, err = r.versions(t.Context(), client)
	require.NoError(t, err)
	require.Empty(t, left(), "it has not gone back after all")
}
