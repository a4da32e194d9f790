package tools

// Versions that other packages or both releases and modules name.
const (
	PulumiVersion            = "3.259.0"      // renovate: pulumi/pulumi
	KubernetesPluginVersion  = "4.25.0"       // renovate: pulumi/pulumi-kubernetes
	DockerBuildPluginVersion = "0.0.22"       // renovate: pulumi/pulumi-docker-build
	k3sVersion               = "v1.35.0+k3s1" // renovate: k3s-io/k3s
)
