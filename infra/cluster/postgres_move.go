package cluster

import (
	"cmp"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
)

// upgrade moves the data to a newer version.
func (d Database) upgrade(has serving, current Version, image string) (Version, error) {
	template := statefulset.Template(major(image))
	_, left := has.claims[template]
	fault := func(format string, args ...any) (Version, error) {
		return Version{}, d.cannotMove(major(current.Image), major(image), fmt.Sprintf(format, args...))
	}
	switch {
	case left && (has.template != "" || has.left[template]):
		return fault("the claim %s is there from an earlier move, and lacks what was written since: if nobody "+
			"needs it, kubectl -n %s delete pvc %[1]s", d.claim(template), d.Namespace)
	case d.Restored:
		return fault(restoresAgain)
	case !has.claims[current.Template]:
		return fault("its claim %s is missing, or is being deleted", d.claim(current.Template))
	}
	return Version{Image: image, Template: template, OldImage: current.Image,
		OldClaim: d.claim(current.Template), Rehearses: has.template != "",
		notice: fmt.Sprintf("The database %s moves from PostgreSQL %d to %d. First a backup is made while its "+
			"clients work, and the new version tries its parameters. Then the server stops, and "+
			"clients wait until the data is restored and compared (%s). The claim %s keeps the data of the old "+
			"version: docs/postgres.md#a-new-major-version", d.Name, major(current.Image), major(image),
			likeTheLast(has.took), d.claim(current.Template))}, nil
}

// restoresAgain is why a database that is restored cannot move.
const restoresAgain = "restoreFrom is set, and would be restored again: remove it first, with pulumi " +
	"config rm restoreFrom, or from the database's entry"

func (d Database) cannotMove(is, wanted int, why string) error {
	return fmt.Errorf("%s: the database %s is of PostgreSQL %d, and cannot move to %d now: %s. Nothing was "+
		"changed", d.ImageSetting, d.Name, is, wanted, why)
}

// likeTheLast says how long something takes that takes as long as a backup.
func likeTheLast(backup time.Duration) string {
	if backup == 0 {
		return "the last backup's duration is not known"
	}
	return "about " + duration.HumanDuration(backup) + ", as the last backup took"
}

// goBack returns to the claim of an older version, without what was written since.
func (d Database) goBack(has serving, current Version, image string) (Version, error) {
	wanted := statefulset.Template(major(image))
	if !has.claims[wanted] {
		wanted = statefulset.FirstTemplate
	}
	lost := fmt.Sprintf("the database %s is of PostgreSQL %d, and %s is older", d.Name, major(current.Image),
		image)
	of := cmp.Or(has.recorded[wanted], has.oldImage)
	switch {
	case current.Template == wanted && !has.ready && of == "":
		return Version{Image: image, Template: wanted}, nil // setup says whether it is of the volume's version
	case current.Template == wanted || !has.claims[wanted] ||
		wanted == statefulset.FirstTemplate && of != "" && major(of) != major(image):
		return Version{}, fmt.Errorf("%s: %s: no claim with data of that version is there, so take an image of "+
			"PostgreSQL %d. Nothing was changed", d.ImageSetting, lost, major(current.Image))
	case !d.GoesBack:
		return Version{}, fmt.Errorf("%s: %s: to go back to the claim %s, and lose everything that was written "+
			"since the move, set postgresGoBack to %s; to stay, take an image of PostgreSQL %d. Nothing was changed",
			d.ImageSetting, lost, d.claim(wanted), d.Name, major(current.Image))
	}
	back := Version{Image: image, Template: wanted, leaves: current.Template}
	back.notice = fmt.Sprintf("The database %s goes back to %s and the claim %s. Everything that was written "+
		"since the move stays behind in the claim %s: to move again, delete that first", d.Name, image,
		d.claim(wanted), d.claim(current.Template))
	back.keepOld(d, serving{claims: has.claims, recorded: has.recorded})
	return back, nil
}
