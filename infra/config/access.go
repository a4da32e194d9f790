package config

import (
	"k8s.io/client-go/tools/clientcmd"

	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
)

const contextKey, kubeconfigKey, kubeconfigFromKey = "kubeContext", "kubeconfig", "kubeconfigFrom"

// access is how the settings lead to the cluster.
func (r *reader) access() cluster.Access {
	access := cluster.Access{
		Context: r.text(contextKey, optional(notEmpty), "my-cluster"),
		From:    r.text(kubeconfigFromKey, optional(output), "alice/cluster/prod/kubeconfig"),
	}
	if r.secret(kubeconfigKey, kubeconfig, `"$(kubectl config view --raw --minify --flatten)"`) != nil {
		access.Kubeconfig = r.read(kubeconfigKey)
	}
	if access.Kubeconfig != "" && access.From != "" && !r.faulty(kubeconfigFromKey) {
		r.fault(kubeconfigFromKey, "set, though %s is; for example: pulumi config rm %s", kubeconfigKey,
			kubeconfigFromKey)
	}
	return access
}

func kubeconfig(value string) string {
	if config, err := clientcmd.Load([]byte(value)); err != nil || len(config.Contexts) == 0 {
		return "the text of a kubeconfig"
	}
	return ""
}
