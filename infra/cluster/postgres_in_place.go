package cluster

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"k8s.io/client-go/kubernetes"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
)

// decideInPlace returns the version that a Cluster of CloudNativePG runs after the update. The operator
// upgrades its volumes with pg_upgrade when the image changes.
func (d Database) decideInPlace(ctx context.Context, client kubernetes.Interface) (Version, error) {
	there, err := d.existing(ctx, client)
	if err != nil {
		return Version{}, err
	}
	image := cmp.Or(d.Image, there.Spec.ImageName, d.LastImage)
	is, begun, wanted := there.Status.PGDataImageInfo.MajorVersion, major(there.Spec.ImageName), major(image)
	fault := func(format string, args ...any) (Version, error) {
		return Version{}, d.cannotMove(is, wanted, fmt.Sprintf(format, args...))
	}
	switch {
	case is == 0 || wanted == 0 || wanted == is:
		return Version{Image: image}, nil
	case wanted < is:
		return fault("CloudNativePG does not go back. Take an image of PostgreSQL %d; "+
			"docs/high-availability.md#a-new-major-version says how to bring back a backup of %d", is, wanted)
	case begun == wanted:
		return Version{Image: image, notice: fmt.Sprintf("CloudNativePG upgrades the database %s from PostgreSQL "+
			"%d to %d. If it can't, the Job %s-1-major-upgrade in %s says why: to have the database as it was, give "+
			"it the image %s, and pulumi up --refresh", d.Name, is, wanted, d.Cluster, d.Namespace,
			server.OfficialImage(strconv.Itoa(is)))}, nil
	case d.Restored:
		return fault(restoresAgain)
	case d.Archived || len(there.Spec.Plugins) > 0:
		return fault("plugin-barman-cloud archives its log, and the archive of one version is not the other's: "+
			"set %s to false, pulumi up, then move, and set it to true again", d.ArchiveSetting)
	case there.Status.ReadyInstances == 0:
		return fault("none of its servers is ready, so there would be no backup of before: pulumi up with an "+
			"image of PostgreSQL %d first", is)
	}
	return Version{Image: image, OldImage: there.Spec.ImageName, Rehearses: true,
		notice: fmt.Sprintf("The database %s moves from PostgreSQL %d to %d. First a backup is made while its "+
			"clients work (%s), and the new version tries its parameters. Then all servers stop, and clients wait "+
			"until CloudNativePG has upgraded the volume. Only the backup leads back: "+
			"docs/high-availability.md#a-new-major-version", d.Name, is, wanted,
			likeTheLast(d.lastBackup(ctx, client)))}, nil
}
