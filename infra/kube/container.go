package kube

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Env sets an environment variable. It is no place for secrets, which are mounted as files.
func Env(name, value string) corev1.EnvVarArgs {
	return corev1.EnvVarArgs{Name: pulumi.String(name), Value: pulumi.String(value)}
}

// ContainerPort names a port that a container listens on.
func ContainerPort(name string, port int) corev1.ContainerPortArgs {
	return corev1.ContainerPortArgs{Name: pulumi.String(name), ContainerPort: pulumi.Int(port)}
}

// Mount shows a volume in a directory.
func Mount(volume, dir string) corev1.VolumeMountArgs {
	return corev1.VolumeMountArgs{Name: pulumi.String(volume), MountPath: pulumi.String(dir)}
}

// ReadOnly shows a volume in a directory where nothing can be changed.
func ReadOnly(volume, dir string) corev1.VolumeMountArgs {
	mount := Mount(volume, dir)
	mount.ReadOnly = pulumi.Bool(true)
	return mount
}
