package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/stateful-k3s/stateful-k3s/infra/database/cloudnativepg"
)

// Archive is where the log of a Cluster of CloudNativePG is, in folders of the bucket.
type Archive struct {
	// Name is the Cluster's own folder; a new one for a new Cluster.
	Name string
	// From is the folder that the database is recovered from; "" if it is not, or has been.
	From string
}

// findPlugin looks for what archives the log of databases of CloudNativePG, if there are any.
func (r Requirements) findPlugin(ctx context.Context, client kubernetes.Interface, found *CloudNativePG,
	say func(string)) error {
	if len(r.archived()) == 0 {
		return nil
	}
	running, err := kubernetesVersion(client)
	if err != nil {
		return err
	}
	found.AnyNode = running.LessThan(version.MustParseGeneric(prefersNode))
	definition, err := getMetadata(ctx, client.Discovery().RESTClient().Get().AbsPath(
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"+cloudnativepg.StoreKind))
	if apierrors.IsNotFound(err) {
		say("The cluster has no plugin-barman-cloud, with which CloudNativePG archives. The stack installs it.")
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking the cluster for plugin-barman-cloud: %w", err)
	}
	if !r.hasInstalled(definition) {
		found.HasPlugin = true
		say("The cluster has plugin-barman-cloud. The stack uses it, and leaves it as it is.")
		return nil
	}
	return nil
}

// archived are the databases of CloudNativePG whose log is archived.
func (r Requirements) archived() []Database {
	return slices.DeleteFunc(slices.Clone(r.Databases), func(d Database) bool {
		return !d.Archived || d.Engine != CloudNativePGEngine
	})
}

// archives finds the archives of the databases of CloudNativePG, by their names.
func (r Requirements) archives(ctx context.Context, client kubernetes.Interface,
	now time.Time) (found map[string]Archive, err error) {
	found = map[string]Archive{}
	for _, d := range r.archived() {
		if found[d.Name], err = d.archive(ctx, client, now); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (d Database) archive(ctx context.Context, client kubernetes.Interface, now time.Time) (Archive, error) {
	there, err := d.existing(ctx, client)
	if err != nil {
		return Archive{}, err
	}
	own := ""
	for _, plugin := range there.Spec.Plugins {
		own = cmp.Or(own, plugin.Parameters.ServerName)
	}
	archive := Archive{Name: cmp.Or(own, d.Cluster+now.UTC().Format("-20060102t150405z"))}
	if d.Recovered == "" {
		return archive, nil
	}
	if is, err := exists(ctx, client, d.clusterPath(d.Recovered)); err != nil || is {
		return archive, err
	}
	archive.From, err = d.recoverFrom(ctx, client, own)
	return archive, err
}

// archiverWait is as long as Pulumi waits for a Cluster.
const archiverWait = 20 * time.Minute

// awaitArchiver waits until the primary of a Cluster has the plugin beside it.
func awaitArchiver(ctx context.Context, client kubernetes.Interface, namespace, name string) error {
	primary := metav1.ListOptions{LabelSelector: "cnpg.io/instanceRole=primary,cnpg.io/cluster=" + name}
	err := wait.PollUntilContextTimeout(ctx, time.Second, archiverWait, true,
		func(ctx context.Context) (bool, error) {
			pods, err := client.CoreV1().Pods(namespace).List(ctx, primary)
			return err == nil && slices.ContainsFunc(pods.Items, hasArchiver), nil
		})
	if err != nil {
		return fmt.Errorf("waiting for plugin-barman-cloud beside the primary of %s in %s, without which no base "+
			"backup can be made: %w: kubectl -n %s describe cluster %s", name, namespace, err, namespace, name)
	}
	return nil
}

func hasArchiver(pod corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Spec.InitContainers,
		func(c corev1.Container) bool { return c.Name == "plugin-barman-cloud" })
}

// window starts at the first time that a server can be recovered to.
type window struct{ FirstRecoverabilityPoint time.Time }

// recoverFrom returns the folder of the newest server that the archive has from before the time, or of the
// newest other server for the end of what it has archived.
func (d Database) recoverFrom(ctx context.Context, client kubernetes.Interface, own string) (string, error) {
	path := "/apis/barmancloud.cnpg.io/v1/namespaces/" + d.Namespace + "/objectstores/" + d.Cluster
	var store struct {
		Status struct{ ServerRecoveryWindow map[string]window }
	}
	answer, err := client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err == nil {
		err = json.Unmarshal(answer, &store)
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("asking the cluster for %s: %w", path, err)
	}
	from, covered := "", []string{}
	for name, server := range store.Status.ServerRecoveryWindow {
		first := server.FirstRecoverabilityPoint
		if first.IsZero() {
			continue
		}
		covered = append(covered, first.Format(time.RFC3339)+" in "+name)
		fits := name != own
		if !d.RestoredTo.IsZero() {
			fits = !first.After(d.RestoredTo)
		}
		newer := store.Status.ServerRecoveryWindow[from].FirstRecoverabilityPoint.Before(first)
		if fits && (from == "" || newer) {
			from = name
		}
	}
	if from != "" {
		return from, nil
	}
	slices.Sort(covered)
	what := "of a server before this one"
	if !d.RestoredTo.IsZero() {
		what = "from before " + d.RestoredTo.Format(time.RFC3339)
	}
	return "", fmt.Errorf("restoreFrom: the archive of the database %s has no base backup %s; it can be "+
		"restored from these times on: %s. Nothing was changed", d.Name, what,
		cmp.Or(strings.Join(covered, ", "), "none"))
}
