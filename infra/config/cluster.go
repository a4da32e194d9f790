package config

import "github.com/stateful-k3s/stateful-k3s/infra/cluster"

const contextKey, kubeconfigKey, kubeconfigFromKey = "kubeContext", "kubeconfig", "kubeconfigFrom"

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
