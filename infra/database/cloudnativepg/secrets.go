package cloudnativepg

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// roleSecret is the name of the Secret with the login of a role. The owner's is under owner.
func (n names) roleSecret(role string) string { return n.cluster + "-" + role }

// declareSecrets declares what the servers need: their certificate, and for each role what verifies its
// password, which itself reaches no server. The operator takes over changes without a restart.
func declareSecrets(ctx *pulumi.Context, name string, args Args, names names, creds *statefulset.Credentials,
	parent pulumi.ResourceOption) (declared []pulumi.Resource, err error) {
	declare := func(name, inCluster, kind string, data map[string]pulumi.StringInput) error {
		secret, err := kube.NewSecret(ctx, name, kube.SecretArgs{
			Namespace: args.Namespace, App: names.cluster, Name: inCluster, Type: kind, Data: data,
			Labels: map[string]string{"cnpg.io/reload": "true"},
		}, parent)
		declared = append(declared, secret)
		return err
	}
	certificate := creds.Certificate
	if err := declare(name+"-certificate-secret", names.certificate, "kubernetes.io/tls",
		map[string]pulumi.StringInput{"ca.crt": certificate.Authority, "tls.crt": certificate.Server,
			"tls.key": certificate.Key}); err != nil {
		return nil, err
	}
	for key, role := range map[string]string{"owner": args.Database, server.ReaderRole: server.ReaderRole,
		server.RestorerRole: server.RestorerRole} {
		if err := declare(name+"-"+key+"-secret", names.roleSecret(key), "kubernetes.io/basic-auth",
			map[string]pulumi.StringInput{"username": pulumi.String(role),
				"password": creds.Verifiers[key]}); err != nil {
			return nil, err
		}
	}
	return declared, nil
}
