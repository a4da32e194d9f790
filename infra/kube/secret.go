package kube

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// loginSecret names the Secret that a namespace's pods pull images with.
const loginSecret = "registry"

// SecretArgs describes a Secret.
type SecretArgs struct {
	Namespace *Namespace
	App       string
	// Name is the name in the cluster.
	Name string
	// Type is Opaque if empty.
	Type string
	// Labels are added to the common ones.
	Labels map[string]string
	// Data is plain text by key. The state encrypts it.
	Data map[string]pulumi.StringInput
}

// NewSecret declares a Secret. It changes in place, so its users refer to it by its name.
func NewSecret(ctx *pulumi.Context, name string, args SecretArgs,
	opts ...pulumi.ResourceOption) (*corev1.Secret, error) {
	if args.Type == "" {
		args.Type = "Opaque"
	}
	data := pulumi.StringMap{}
	for key, value := range args.Data {
		data[key] = value.ToStringOutput().ApplyT(func(v string) string {
			return base64.StdEncoding.EncodeToString([]byte(v))
		}).(pulumi.StringOutput)
	}
	secret, err := corev1.NewSecret(ctx, name, &corev1.SecretArgs{
		Metadata: args.Namespace.Meta(args.App, args.Name, args.Labels),
		Type:     pulumi.String(args.Type),
		Data:     data,
	}, append(opts, args.Namespace.Ready())...)
	if err != nil {
		return nil, fmt.Errorf("declaring secret %s: %w", args.Name, err)
	}
	return secret, nil
}

// RegistryLogin is the login that a registry needs.
type RegistryLogin struct {
	// Server is the registry's host, with its port if it has one.
	Server   string
	Username string
	Password pulumi.StringInput
}

func newLoginSecret(ctx *pulumi.Context, name string, n *Namespace, login *RegistryLogin,
	opts ...pulumi.ResourceOption) (*corev1.Secret, error) {
	config := login.Password.ToStringOutput().ApplyT(func(password string) (string, error) {
		file, err := json.Marshal(map[string]any{"auths": map[string]any{login.Server: map[string]string{
			"username": login.Username,
			"password": password,
			"auth":     base64.StdEncoding.EncodeToString([]byte(login.Username + ":" + password)),
		}}})
		return string(file), err
	}).(pulumi.StringOutput)
	return NewSecret(ctx, name+"-"+loginSecret, SecretArgs{
		Namespace: n,
		App:       "registry",
		Name:      loginSecret,
		Type:      "kubernetes.io/dockerconfigjson",
		Data:      map[string]pulumi.StringInput{".dockerconfigjson": config},
	}, opts...)
}
