package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// File is a file in a ConfigMap.
type File struct{ Name, Content string }

// ConfigMapArgs describes a ConfigMap of files.
type ConfigMapArgs struct {
	Namespace *Namespace
	App       string
	// Name is the name in the cluster.
	Name string
	// Labels are added to the common ones.
	Labels map[string]string
	Files  []File
}

// NewConfigMap declares a ConfigMap. It returns 8 hexadecimal digits that change with the files, for
// Pod.RestartOn.
func NewConfigMap(ctx *pulumi.Context, name string, args ConfigMapArgs,
	opts ...pulumi.ResourceOption) (configMap *corev1.ConfigMap, digest pulumi.String, err error) {
	data, hash := pulumi.StringMap{}, sha256.New()
	for _, file := range args.Files {
		data[file.Name] = pulumi.String(file.Content)
		hash.Write([]byte(file.Content))
	}
	configMap, err = corev1.NewConfigMap(ctx, name, &corev1.ConfigMapArgs{
		Metadata: args.Namespace.Meta(args.App, args.Name, args.Labels),
		Data:     data,
	}, append(opts, args.Namespace.Ready())...)
	if err != nil {
		return nil, "", fmt.Errorf("declaring config map %s: %w", args.Name, err)
	}
	return configMap, pulumi.String(hex.EncodeToString(hash.Sum(nil)[:4])), nil
}
