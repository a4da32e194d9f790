package kube

import (
	"maps"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Env sets an environment variable. Secrets are mounted as files instead.
func Env(name, value string) corev1.EnvVarArgs {
	return corev1.EnvVarArgs{Name: pulumi.String(name), Value: pulumi.String(value)}
}

// EnvOf sets an environment variable to a value that another resource may give.
func EnvOf(name string, value pulumi.StringInput) corev1.EnvVarArgs {
	return corev1.EnvVarArgs{Name: pulumi.String(name), Value: value}
}

// ContainerPort names a port that a container listens on.
func ContainerPort(name string, port int) corev1.ContainerPortArgs {
	return corev1.ContainerPortArgs{Name: pulumi.String(name), ContainerPort: pulumi.Int(port)}
}

// Mount mounts a volume at a directory.
func Mount(volume, dir string) corev1.VolumeMountArgs {
	return corev1.VolumeMountArgs{Name: pulumi.String(volume), MountPath: pulumi.String(dir)}
}

// ReadOnly mounts a volume at a directory, read-only.
func ReadOnly(volume, dir string) corev1.VolumeMountArgs {
	mount := Mount(volume, dir)
	mount.ReadOnly = pulumi.Bool(true)
	return mount
}

// SecretVolume returns a volume with some keys of a Secret as files; files has the files' names by key.
func SecretVolume(name, secret string, mode int, files map[string]string) corev1.VolumeArgs {
	items := corev1.KeyToPathArray{}
	for _, key := range slices.Sorted(maps.Keys(files)) {
		items = append(items, corev1.KeyToPathArgs{Key: pulumi.String(key), Path: pulumi.String(files[key])})
	}
	return corev1.VolumeArgs{Name: pulumi.String(name), Secret: corev1.SecretVolumeSourceArgs{
		SecretName: pulumi.String(secret), DefaultMode: pulumi.Int(mode), Items: items,
	}}
}

// EnvFromConfigMap sets an environment variable from a key of a ConfigMap, when the container starts.
func EnvFromConfigMap(name, configMap, key string) corev1.EnvVarArgs {
	return corev1.EnvVarArgs{Name: pulumi.String(name), ValueFrom: corev1.EnvVarSourceArgs{
		ConfigMapKeyRef: corev1.ConfigMapKeySelectorArgs{Name: pulumi.String(configMap), Key: pulumi.String(key)},
	}}
}

// EnvFromField sets an environment variable from a field of the pod itself.
// Source: https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
func EnvFromField(name, path string) corev1.EnvVarArgs {
	return corev1.EnvVarArgs{Name: pulumi.String(name), ValueFrom: corev1.EnvVarSourceArgs{
		FieldRef: corev1.ObjectFieldSelectorArgs{FieldPath: pulumi.String(path)},
	}}
}
