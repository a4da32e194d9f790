package storage

import (
	"strconv"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Keys of a client's Secret. It has Authorities if the bucket has.
const (
	AccessKey   = "access-key"
	SecretKey   = "secret-key"
	Authorities = "ca.crt"
)

const (
	clientDir     = "/run/secrets/bucket"
	passphraseKey = "archive-passphrase"
)

// Client gives a pod access to a bucket. The pod takes Volume, and each container that uses the bucket takes
// Mount and Env. The files change with the keys.
type Client struct {
	Volume corev1.VolumeArgs
	Mount  corev1.VolumeMountArgs
	Env    corev1.EnvVarArray

	secret *corev1.Secret
}

// ClientArgs describes the client. Only Passphrase is optional.
type ClientArgs struct {
	Namespace *kube.Namespace
	// Folder is the pods' folder in the bucket.
	Folder pulumi.StringInput
	App    string
	// Secret is the name of the Secret with the keys.
	Secret string
	// Passphrase encrypts the archive of Postgres; nil for none.
	Passphrase pulumi.StringInput
}

// NewClient declares a Secret with the client's keys.
func (b Bucket) NewClient(ctx *pulumi.Context, name string, args ClientArgs,
	opts ...pulumi.ResourceOption) (*Client, error) {
	data := map[string]pulumi.StringInput{AccessKey: b.AccessKey, SecretKey: b.SecretKey}
	env := corev1.EnvVarArray{
		kube.EnvOf("S3_ENDPOINT", b.Endpoint),
		kube.EnvOf("S3_REGION", b.Region),
		kube.EnvOf("S3_BUCKET", b.Name),
		kube.EnvOf("S3_PREFIX", b.Path(args.Folder)),
		kube.Env("S3_PATH_STYLE", strconv.FormatBool(b.PathStyle)),
		kube.Env("S3_ACCESS_KEY_FILE", clientDir+"/"+AccessKey),
		kube.Env("S3_SECRET_KEY_FILE", clientDir+"/"+SecretKey),
	}
	if b.Authorities != nil {
		data[Authorities] = b.Authorities
		env = append(env, kube.Env("S3_CA_FILE", clientDir+"/"+Authorities))
	}
	if args.Passphrase != nil {
		data[passphraseKey] = args.Passphrase
		env = append(env, kube.Env("ARCHIVE_PASSPHRASE_FILE", clientDir+"/"+passphraseKey))
	}
	secret, err := kube.NewSecret(ctx, name,
		kube.SecretArgs{Namespace: args.Namespace, App: args.App, Name: args.Secret, Data: data}, opts...)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for key := range data {
		files[key] = key
	}
	return &Client{
		Volume: kube.SecretVolume("bucket", args.Secret, 0o444, files),
		Mount:  kube.ReadOnly("bucket", clientDir),
		Env:    env,
		secret: secret,
	}, nil
}

// Ready makes a resource wait for the Secret.
func (c *Client) Ready() pulumi.ResourceOption {
	return pulumi.DependsOn([]pulumi.Resource{c.secret})
}

// Path returns the path of a folder in the bucket, below the bucket's Prefix.
func (b Bucket) Path(folder pulumi.StringInput) pulumi.StringInput {
	if b.Prefix == nil {
		return folder
	}
	return pulumi.Sprintf("%s/%s", b.Prefix, folder)
}

// Required tells which required fields are set, for kube.Missing.
func (b Bucket) Required() map[string]bool {
	return map[string]bool{
		"Bucket.Endpoint": b.Endpoint != nil, "Bucket.Region": b.Region != nil, "Bucket.Name": b.Name != nil,
		"Bucket.AccessKey": b.AccessKey != nil, "Bucket.SecretKey": b.SecretKey != nil,
	}
}
