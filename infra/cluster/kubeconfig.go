package cluster

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfig returns the kubeconfig of Pulumi's provider. The state holds it, and so leads refresh and
// destroy, which do not run the program, to the stack's own cluster. It names the cluster by its identity,
// and has no login: each user of the stack brings one. Only a kubeconfig of the settings keeps its login, and
// is secret.
func (a Access) kubeconfig(config *rest.Config, expected identity) (text string, secret bool, err error) {
	cluster := api.NewCluster()
	cluster.Server = config.Host
	cluster.CertificateAuthorityData = config.CAData
	cluster.InsecureSkipTLSVerify = config.Insecure
	cluster.TLSServerName = config.ServerName
	secret = a.Kubeconfig != ""
	if config.Proxy != nil {
		proxy, err := config.Proxy(nil)
		if err != nil {
			return "", false, fmt.Errorf("reading the proxy of the cluster %s: %w", config.Host, err)
		}
		cluster.ProxyURL = proxy.String()
		secret = secret || proxy.User != nil
	}
	user, err := a.user(config, expected)
	if err != nil {
		return "", false, err
	}
	const context, name = "stack", "user"
	written, err := clientcmd.Write(api.Config{
		Clusters:       map[string]*api.Cluster{expected.id(): cluster},
		AuthInfos:      map[string]*api.AuthInfo{name: user},
		Contexts:       map[string]*api.Context{context: {Cluster: expected.id(), AuthInfo: name}},
		CurrentContext: context,
	})
	if err != nil {
		return "", false, fmt.Errorf("writing the kubeconfig of the provider: %w", err)
	}
	return string(written), secret, nil
}

func (a Access) user(config *rest.Config, expected identity) (*api.AuthInfo, error) {
	user := api.NewAuthInfo()
	if a.Kubeconfig != "" {
		client, _, err := a.load()
		if err != nil {
			return nil, err
		}
		all, err := client.RawConfig()
		if err != nil {
			return nil, fmt.Errorf("reading the user of the kubeconfig: %w", err)
		}
		name := all.CurrentContext
		if a.Context != "" {
			name = a.Context
		}
		if set := all.AuthInfos[all.Contexts[name].AuthInfo]; set != nil {
			return set, nil
		}
		return user, nil
	}
	if config.Username != "" || config.AuthProvider != nil {
		return nil, fmt.Errorf("the user of your kubeconfig has a password or an auth-provider for the cluster "+
			"%s, which the stack cannot pass on: take a token, a certificate or an exec plugin, or set "+
			`pulumi config set --secret kubeconfig "$(kubectl config view --raw --minify --flatten)"`, config.Host)
	}
	user.Impersonate, user.ImpersonateUID = config.Impersonate.UserName, config.Impersonate.UID
	user.ImpersonateGroups, user.ImpersonateUserExtra = config.Impersonate.Groups, config.Impersonate.Extra
	if config.BearerToken == "" && config.BearerTokenFile == "" && len(config.CertData) == 0 &&
		config.ExecProvider == nil {
		return user, nil
	}
	user.Exec = &api.ExecConfig{
		APIVersion: credentialVersion,
		Command:    "sh",
		Args: []string{"-c", loginScript, "sh", CredentialCommand, expected.uid, expected.fingerprint,
			config.Host, a.Context},
		InteractiveMode: api.NeverExecInteractiveMode,
	}
	return user, nil
}
