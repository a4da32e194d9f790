package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// patience is how long the cluster may take for one answer.
const patience = 10 * time.Second

// Access is how the settings lead to the cluster. With none it is where $KUBECONFIG, or else ~/.kube/config,
// leads.
type Access struct {
	// Kubeconfig is the text of one; "" for the files.
	Kubeconfig string
	// From is the output of another stack that is the text, as organization/project/stack/output; "" if none is.
	From string
	// Context is one of the kubeconfig's; "" for its current one.
	Context string
}

// resolve puts the output of another stack in the place of its name. Its error names the output.
func (a Access) resolve(ctx *pulumi.Context) (Access, error) {
	if a.From == "" {
		return a, nil
	}
	stack, output := path.Split(a.From)
	stack = path.Clean(stack)
	reference, err := pulumi.NewStackReference(ctx, stack, nil)
	if err != nil {
		return a, fmt.Errorf("kubeconfigFrom: reading the stack %s: %w", stack, err)
	}
	details, err := reference.GetOutputDetails(output)
	if err != nil {
		return a, fmt.Errorf("kubeconfigFrom: reading the output %s of the stack %s: %w", output, stack, err)
	}
	value := details.SecretValue
	if value == nil {
		value = details.Value
	}
	switch value := value.(type) {
	case nil:
		return a, fmt.Errorf("kubeconfigFrom: the stack %s has no output %s; pulumi stack output --stack %[1]s shows those it has", stack, output)
	case string:
		a.Kubeconfig = value
	default: // some stacks have an object as their output
		text, err := json.Marshal(value)
		if err != nil {
			return a, fmt.Errorf("kubeconfigFrom: reading the output %s of the stack %s: %w", output, stack, err)
		}
		a.Kubeconfig = string(text)
	}
	return a, nil
}

// cluster is one that has answered.
type cluster struct {
	kubernetes.Interface
	config *rest.Config
	place
}

// place tells a cluster from all others.
type place struct {
	// uid identifies the namespace kube-system; it is "" if the user may not read that namespace.
	uid string
	// fingerprint stands in for it there. It is of the address and the authority, and changes with them.
	fingerprint string
	// server is the address.
	server string
}

func (p place) id() string {
	if p.uid != "" {
		return p.uid
	}
	return p.fingerprint
}

// is says whether two are the same cluster, as far as they are known.
func (p place) is(other place) bool {
	if p.uid != "" && other.uid != "" {
		return p.uid == other.uid
	}
	return p.fingerprint == other.fingerprint
}

// connect asks the cluster who it is. It fails where there is none, or where it does not answer within
// patience.
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
		place{string(system.UID), "sha256:" + hex.EncodeToString(sum[:16]), config.Host}}, nil
}

const selection = "kubectl config get-contexts shows the clusters there are, kubectl config use-context selects one, and KUBECONFIG names the file; " +
	"pulumi config set kubeContext my-cluster selects one for this stack"

// config reads how to reach the cluster. It reads the files that the kubeconfig names, except tokens, which
// change.
func (a Access) config() (*rest.Config, error) {
	client, where, err := a.load()
	if err != nil {
		return nil, err
	}
	config, err := client.ClientConfig()
	if err == nil {
		err = rest.LoadTLSFiles(config)
	}
	if err != nil {
		return nil, fmt.Errorf("there is no cluster in %s: %w; %s", where, err, selection)
	}
	config.Timeout = patience
	config.QPS = -1
	return config, nil
}

func (a Access) load() (config clientcmd.ClientConfig, where string, err error) {
	overrides := &clientcmd.ConfigOverrides{CurrentContext: a.Context}
	if a.Kubeconfig == "" {
		files := clientcmd.NewDefaultClientConfigLoadingRules()
		return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(files, overrides),
			strings.Join(files.GetLoadingPrecedence(), " or "), nil
	}
	where = "the setting kubeconfig"
	if a.From != "" {
		where = a.From
	}
	parsed, err := clientcmd.Load([]byte(a.Kubeconfig))
	if err != nil {
		return nil, where, fmt.Errorf("%s is no kubeconfig", where) // the reason may quote what is secret
	}
	return clientcmd.NewNonInteractiveClientConfig(*parsed, a.Context, overrides, nil), where, nil
}

// refuse returns an error if this is another cluster than the one that is meant.
func (c *cluster) refuse(meant place) error {
	if c.is(meant) {
		return nil
	}
	who := "is " + c.uid
	if c.uid == "" {
		who = "does not let you read its namespace " + metav1.NamespaceSystem +
			", by whose uid clusters are told apart"
	}
	return fmt.Errorf("this stack is on the cluster %s, which was at %s, and another one answers: that at %s %s. Nothing was changed. "+
		"To select the stack's own: kubectl config use-context, KUBECONFIG, or pulumi config set kubeContext my-cluster. "+
		"To move the stack: pulumi destroy while its own is selected, which leaves the data there, and then pulumi up on the other one. "+
		"If its own is lost: PULUMI_K8S_DELETE_UNREACHABLE=true pulumi destroy, which forgets it, and then pulumi up, as in docs/bad-day.md",
		meant.id(), meant.server, c.server, who)
}
