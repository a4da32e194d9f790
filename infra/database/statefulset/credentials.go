package statefulset

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Keys of the Secret. Each container mounts the keys that it needs.
const (
	ownerKey        = "URL"
	readerKey       = "READER_URL"
	restorerKey     = "RESTORER_URL"
	authorityKey    = "ca.crt"
	certificateKey  = "tls.crt"
	privateKey      = "tls.key"
	verifiersKey    = "verifiers.sql"
	exporterPassKey = "exporter-password"
)

const (
	ownerSecret       = "owner"
	certificateSecret = "certificate"
	// Salt is of the verifiers. It is no secret, and generated like one.
	Salt = "salt"
)

// Secrets are the names of the generated secrets that Settings.SecretVersions can replace one by one.
var Secrets = []string{ownerSecret, server.ReaderRole, server.RestorerRole, server.ExporterRole,
	certificateSecret}

// Credentials authenticate a server and its clients to each other.
type Credentials struct {
	Owner, Reader, Restorer server.Client
	// Verifiers are what the server has in place of the roles' passwords, by role; the owner's is under owner.
	Verifiers map[string]pulumi.StringOutput
	// Certificate is the server's.
	Certificate kube.Certificate

	secret *corev1.Secret
	// digest changes with everything that the server's own pod mounts.
	digest pulumi.StringOutput
}

// NewCredentials declares the credentials of the server that args describe, and the Secrets of its clients.
func NewCredentials(ctx *pulumi.Context, name string, args Args,
	parent pulumi.ResourceOption) (*Credentials, error) {
	ns, names := args.Namespace, newNames(args.Prefix)
	passwords := map[string]pulumi.StringOutput{}
	overrides := map[string]pulumi.StringInput{
		ownerSecret: args.Password, server.ReaderRole: args.ReaderPassword,
	}
	for _, secret := range []string{
		ownerSecret, server.ReaderRole, server.RestorerRole, server.ExporterRole, Salt,
	} {
		password, err := kube.NewPassword(ctx, name+"-"+secret, kube.PasswordArgs{
			Override: overrides[secret],
			Version:  args.SecretVersions.Of(secret),
		}, parent)
		if err != nil {
			return nil, err
		}
		passwords[secret] = password
	}
	certificate, err := kube.NewCertificate(ctx, name+"-"+certificateSecret, kube.CertificateArgs{
		Names:   ns.DNSNames(names.service, names.statefulSet+"-0."+names.service),
		Version: args.SecretVersions.Of(certificateSecret),
	}, parent)
	if err != nil {
		return nil, err
	}

	ownerURL := server.URL(names.service, args.Database, args.Database, passwords[ownerSecret])
	readerURL := server.URL(names.service, server.ReaderRole, args.Database, passwords[server.ReaderRole])
	restorerURL := server.URL(names.service, server.RestorerRole, args.Database, passwords[server.RestorerRole])
	all := map[string]pulumi.StringOutput{}
	for _, role := range []string{ownerSecret, server.ReaderRole, server.RestorerRole, server.ExporterRole} {
		all[role] = newVerifier(role, passwords)
	}
	verifiers := pulumi.Sprintf("%s%s%s%s", setVerifier(ownerSecret, all), setVerifier(server.ReaderRole, all),
		setVerifier(server.RestorerRole, all), setVerifier(server.ExporterRole, all))
	resource, err := kube.NewSecret(ctx, name+"-secret", kube.SecretArgs{
		Namespace: ns,
		App:       names.app,
		Name:      names.secret,
		Data: map[string]pulumi.StringInput{
			ownerKey:        ownerURL,
			readerKey:       readerURL,
			restorerKey:     restorerURL,
			authorityKey:    certificate.Authority,
			certificateKey:  certificate.Server,
			privateKey:      certificate.Key,
			verifiersKey:    verifiers,
			exporterPassKey: passwords[server.ExporterRole],
		},
	}, parent)
	if err != nil {
		return nil, err
	}
	_, err = kube.NewSecret(ctx, name+"-client", kube.SecretArgs{
		Namespace: ns,
		App:       names.app,
		Name:      names.clientSecret,
		Data: server.Parts(names.service+"."+ns.Name+".svc", args.Database, args.Database,
			passwords[ownerSecret], certificate.Authority),
	}, parent)
	if err != nil {
		return nil, err
	}
	newClient := func(key string, url pulumi.StringOutput) server.Client {
		return server.NewClient(server.ClientArgs{Namespace: ns, Secret: names.secret, Key: key,
			AuthorityKey: authorityKey, URL: url, Authority: certificate.Authority})
	}
	return &Credentials{
		Owner:       newClient(ownerKey, ownerURL),
		Reader:      newClient(readerKey, readerURL),
		Restorer:    newClient(restorerKey, restorerURL),
		Verifiers:   all,
		Certificate: certificate,
		secret:      resource,
		digest:      kube.Digest(ns.Name+"/"+names.secret, pulumi.Sprintf("%s\n%s", verifiers, certificate.Key)),
	}, nil
}

func newVerifier(role string, passwords map[string]pulumi.StringOutput) pulumi.StringOutput {
	return pulumi.All(passwords[role], passwords[Salt]).ApplyT(func(all []any) (string, error) {
		return verifier(all[0].(string), all[1].(string)+role)
	}).(pulumi.StringOutput)
}

// setVerifier returns the line of psql that sets the variable of a role's verifier.
func setVerifier(role string, verifiers map[string]pulumi.StringOutput) pulumi.StringOutput {
	return pulumi.Sprintf("\\set %s_verifier '%s'\n", role, verifiers[role])
}
