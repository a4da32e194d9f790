package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
)

// Database is where the engines of a database keep its data.
type Database struct {
	Name, Namespace string
	// Claim is the first volume of the StatefulSet, Cluster the object of CloudNativePG.
	Claim, StatefulSet, Cluster string
	// Backup is the label app of its backups' Jobs.
	Backup string
	// Engine is the engine's name, and LastEngine the one of the last up, or "".
	Engine, LastEngine string
	// Restored says that the database is restored.
	Restored bool
	// Archived says that its log is archived, and ArchiveSetting is the path of that setting. Recovered is the
	// name of the Cluster with the database as it was at RestoredTo, or at the end of the archive if that is
	// zero; "" for none.
	Archived                  bool
	ArchiveSetting, Recovered string
	RestoredTo                time.Time
	// Setting is the path of its engine's setting.
	Setting string
	// Image and StorageClass are its servers'. Without an Image they keep what they run, and without a claim
	// they begin with the LastImage of the last up. ImageSetting is the path of Image's setting.
	Image, LastImage, ImageSetting, StorageClass string
	// GoesBack allows to leave behind what was written since a move to a newer version.
	GoesBack bool
}

// Names of the engines.
const (
	StatefulSet         = "statefulset"
	CloudNativePGEngine = "cloudnative-pg"
)

// keepsData refuses an engine that would start without the data that the other one has.
func (r Requirements) keepsData(ctx context.Context, client kubernetes.Interface) error {
	var faults []error
	for _, database := range r.Databases {
		faults = append(faults, database.keepsData(ctx, client))
		if database.Engine == CloudNativePGEngine {
			faults = append(faults, database.canFollow(ctx, client))
		}
	}
	return errors.Join(faults...)
}

// canFollow refuses what the Cluster that is there cannot become.
func (d Database) canFollow(ctx context.Context, client kubernetes.Interface) error {
	there, err := d.existing(ctx, client)
	if err != nil {
		return err
	}
	if class := there.Spec.Storage.StorageClass; class != "" && class != d.StorageClass {
		return fmt.Errorf("the volumes of the database %s are of the storage class %s, and stay in it: set its "+
			"storageClass to that; docs/high-availability.md says how to move it", d.Name, class)
	}
	return nil
}

// existingCluster is what matters of the Cluster that is there; its zero value is for none.
type existingCluster struct {
	Spec struct {
		ImageName string
		Storage   struct{ StorageClass string }
		Plugins   []struct{ Parameters struct{ ServerName string } }
	}
	Status struct {
		ReadyInstances  int
		PGDataImageInfo struct{ MajorVersion int }
	}
}

func (d Database) existing(ctx context.Context,
	client kubernetes.Interface) (there existingCluster, err error) {
	path := d.clusterPath(d.Cluster)
	answer, err := client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return there, nil
	}
	if err != nil {
		return there, fmt.Errorf("asking the cluster for %s: %w", path, err)
	}
	if err := json.Unmarshal(answer, &there); err != nil {
		return there, fmt.Errorf("reading %s: %w", path, err)
	}
	return there, nil
}

func (d Database) keepsData(ctx context.Context, client kubernetes.Interface) error {
	if d.Restored {
		return nil
	}
	path, claim := d.paths()
	hasCluster, err := exists(ctx, client, path)
	if err != nil {
		return err
	}
	hasClaim, err := exists(ctx, client, claim)
	if err != nil {
		return err
	}
	has, err := d.claims(ctx, client)
	if err != nil {
		return err
	}
	hasOwn, hasOther, other := hasCluster, hasClaim || len(has.claims) > 0, StatefulSet
	if d.Engine == StatefulSet {
		hasOwn, hasOther, other = hasOther, hasOwn, CloudNativePGEngine
	}
	if !hasOther {
		return nil
	}
	if hasOwn && d.LastEngine != other {
		return nil
	}
	return fmt.Errorf("%s: the data of the database %s is with the engine %s, and %s would start without it: "+
		"to move it, stop what writes to the database, make a backup, and set restoreFrom to latest too, as "+
		"docs/high-availability.md says; to stay, set engine to %[3]s. Nothing was changed", d.Setting, d.Name,
		other, d.Engine)
}

// paths are where the API has what keeps the data of CloudNativePG and of the StatefulSet.
func (d Database) paths() (cluster, claim string) {
	return d.clusterPath(d.Cluster), "/api/v1/namespaces/" + d.Namespace + "/persistentvolumeclaims/" + d.Claim
}

// clusterPath is where the API has a Cluster of the database's namespace.
func (d Database) clusterPath(name string) string {
	return "/apis/postgresql.cnpg.io/v1/namespaces/" + d.Namespace + "/clusters/" + name
}

// exists reports whether the API has an object, as far as the user may know.
func exists(ctx context.Context, client kubernetes.Interface, path string) (bool, error) {
	_, err := getMetadata(ctx, client.Discovery().RESTClient().Get().AbsPath(path))
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("asking the cluster for %s: %w", path, err)
	}
	return true, nil
}
