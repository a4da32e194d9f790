package cluster

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// answerTimeout bounds each request to the cluster.
	answerTimeout = 10 * time.Second

	selection = "kubectl config get-contexts shows the clusters there are, kubectl config use-context selects " +
		"one, and KUBECONFIG names the file; pulumi config set kubeContext my-cluster selects one for this stack"
)

// Access says how to reach the cluster. The zero value means $KUBECONFIG, or else ~/.kube/config.
type Access struct {
	// Kubeconfig is the text of a kubeconfig; "" for the files.
	Kubeconfig string
	// From names the output of another stack with the text, as organization/project/stack/output; "" for none.
	From string
	// Context is a context of the kubeconfig; "" for its current one.
	Context string
}

// resolve reads the kubeconfig from the output of the other stack, if there is one.
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
		return a, fmt.Errorf("kubeconfigFrom: the stack %s has no output %s; "+
			"pulumi stack output --stack %[1]s shows its outputs", stack, output)
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

// config returns the client configuration. It has read the files that the kubeconfig names, except tokens,
// which change.
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
	config.Timeout = answerTimeout
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
