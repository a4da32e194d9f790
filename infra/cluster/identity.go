package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// cluster is a cluster that has answered.
type cluster struct {
	kubernetes.Interface
	config *rest.Config
	identity
}

// identity tells clusters apart.
type identity struct {
	// uid is the uid of the namespace kube-system; "" if the user may not read that namespace.
	uid string
	// fingerprint identifies address and authority of the cluster, for users who get no uid.
	fingerprint string
	// server is the address.
	server string
}

func (i identity) id() string {
	return cmp.Or(i.uid, i.fingerprint)
}

// matches compares the uids if both are known, and fingerprints otherwise.
func (i identity) matches(other identity) bool {
	if i.uid != "" && other.uid != "" {
		return i.uid == other.uid
	}
	return i.fingerprint == other.fingerprint
}

// connect asks the cluster for its identity. It fails without an answer within answerTimeout.
func (a Access) connect(ctx context.Context) (*cluster, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the access to the cluster %s: %w", config.Host, err)
	}
	if _, err := client.Discovery().ServerVersion(); err != nil {
		return nil, fmt.Errorf("the cluster %s does not answer: %w; %s", config.Host, err, selection)
	}
	system, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("asking the cluster %s for its namespace %s: %w; %s", config.Host,
			metav1.NamespaceSystem, err, selection)
	}
	sum := sha256.Sum256(append([]byte(config.Host+"\n"), config.CAData...))
	return &cluster{client, config,
		identity{string(system.UID), "sha256:" + hex.EncodeToString(sum[:16]), config.Host}}, nil
}

// mustBe returns an error if this is not the expected cluster.
func (c *cluster) mustBe(expected identity) error {
	if c.matches(expected) {
		return nil
	}
	found := "is " + c.uid
	if c.uid == "" {
		found = "does not let you read its namespace " + metav1.NamespaceSystem +
			", and the uid of that namespace identifies a cluster"
	}
	return fmt.Errorf("this stack is on the cluster %s, which was at %s, and another one answers: the one at "+
		"%s %s. Nothing was changed. To select the stack's own: kubectl config use-context, KUBECONFIG, or pulumi "+
		"config set kubeContext my-cluster. To move the stack: pulumi destroy while its own is selected, which "+
		"leaves the data there, and then pulumi up on the other one. If its own is lost: "+
		"PULUMI_K8S_DELETE_UNREACHABLE=true pulumi destroy, which forgets it, and then pulumi up, as in "+
		"docs/bad-day.md",
		expected.id(), expected.server, c.server, found)
}

// recordIdentity records the current cluster in the state, unless the state has one already, and returns the
// recorded one. It comes first in an update, so an update that fails half-way has recorded it too.
func recordIdentity(ctx *pulumi.Context, current identity) (recorded identity, stashed pulumi.Output,
	err error) {
	const name = "cluster"
	stash, err := pulumi.NewStash(ctx, name, &pulumi.StashArgs{Input: pulumi.StringMap{
		"uid": pulumi.String(current.uid), "fingerprint": pulumi.String(current.fingerprint),
		"server": pulumi.String(current.server),
	}}, pulumi.IgnoreChanges([]string{"input"}))
	if err != nil {
		return identity{}, nil, fmt.Errorf("declaring %s: %w", name, err)
	}
	awaited, err := internals.UnsafeAwaitOutput(ctx.Context(), stash.Output)
	if err != nil {
		return identity{}, nil, fmt.Errorf("reading from the state which cluster the stack is on: %w", err)
	}
	if !awaited.Known { // before the first update
		return current, stash.Output, nil
	}
	fields, _ := awaited.Value.(map[string]any)
	field := func(name string) string {
		text, _ := fields[name].(string)
		return text
	}
	return identity{field("uid"), field("fingerprint"), field("server")}, stash.Output, nil
}
