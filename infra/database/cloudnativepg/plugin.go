package cloudnativepg

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Images of a release. The manifest in the plugin's Go module names images of the main branch instead.
const (
	pluginImage  = "ghcr.io/cloudnative-pg/plugin-barman-cloud"
	sidecarImage = "ghcr.io/cloudnative-pg/plugin-barman-cloud-sidecar"
)

// certificatesAnnotation starts new pods when the certificates change. The kubelet would give them to running
// ones a minute later.
const certificatesAnnotation = "stateful-k3s/certificates"

// pluginService is the name of the plugin's Service, and of its server in TLS.
const pluginService = "barman-cloud"

// PluginArgs describes plugin-barman-cloud to install beside the operator.
type PluginArgs struct {
	// Manifest is the YAML of a release.
	Manifest []byte
	// Owner is the stack that installs it, as a label.
	Owner string
	// Replicas is how many pods it has. While none is there, the operator does nothing at all for Clusters that
	// archive, and replaces no lost primary.
	Replicas int
	// AnyNode says that Services of the cluster cannot prefer pods on the client's node.
	AnyNode bool
}

// InstallPlugin declares the objects of a release, in the operator's namespace. They outlive the stack, as
// the operator does.
func (o *Operator) InstallPlugin(ctx *pulumi.Context, name string, args PluginArgs,
	opts ...pulumi.ResourceOption) error {
	objects, err := parse(args.Manifest)
	if err != nil {
		return fmt.Errorf("plugin %s: reading its release: %w", name, err)
	}
	plugin := &struct{ pulumi.ResourceState }{}
	const kind = "stateful-k3s:cloudnativepg:Plugin"
	err = ctx.RegisterComponentResourceV2(kind, name, pulumi.Map{}, plugin, opts...)
	if err != nil {
		return fmt.Errorf("declaring plugin %s: %w", name, err)
	}
	after := []pulumi.ResourceOption{pulumi.Parent(plugin), o.Ready(), pulumi.RetainOnDelete(true)}
	mark, err := o.declareCertificates(ctx, name, args, after...)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", name, err)
	}
	after = append(after, o.Ready())
	for _, object := range objects {
		if object.GroupVersionKind().Group == "cert-manager.io" {
			continue // the certificates are ours
		}
		if err := args.fit(&object, o.Namespace, mark); err != nil {
			return fmt.Errorf("plugin %s: %s %s: %w", name, object.GetKind(), object.GetName(), err)
		}
		declared, err := declare(ctx, name, args.Owner, object, after...)
		if err != nil {
			return fmt.Errorf("plugin %s: %w", name, err)
		}
		o.ready = append(o.ready, declared)
	}
	return ctx.RegisterResourceOutputs(plugin, pulumi.Map{})
}

// declareCertificates declares those with which operator and plugin trust each other. It returns a text that
// other certificates change.
func (o *Operator) declareCertificates(ctx *pulumi.Context, name string, args PluginArgs,
	opts ...pulumi.ResourceOption) (mark pulumi.StringOutput, err error) {
	var both pulumi.StringArray
	for _, side := range []string{"client", "server"} {
		certificate, err := kube.NewCertificate(ctx, name+"-"+side, kube.CertificateArgs{
			Names: []string{pluginService}, Client: side == "client"}, opts...)
		if err != nil {
			return mark, err
		}
		// A client offers its certificate only to who trusts the authority that has signed it.
		chain := pulumi.Sprintf("%s%s", certificate.Server, certificate.Authority)
		secret, err := kube.NewSecret(ctx, name+"-"+side+"-secret", kube.SecretArgs{
			Namespace: &kube.Namespace{Name: o.Namespace}, App: pluginService,
			Name: pluginService + "-" + side + "-tls", Type: "kubernetes.io/tls",
			Labels: map[string]string{kube.InstalledByLabel: args.Owner},
			Data:   map[string]pulumi.StringInput{"tls.crt": chain, "tls.key": certificate.Key},
		}, opts...)
		if err != nil {
			return mark, err
		}
		o.ready = append(o.ready, secret)
		both = append(both, chain)
	}
	sum := both.ToStringArrayOutput().ApplyT(func(both []string) string {
		return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(both, ""))))[:16]
	}).(pulumi.StringOutput)
	return pulumi.Unsecret(sum).(pulumi.StringOutput), nil // certificates are public
}

// fit makes an object of the release one of this cluster. Other marks start other pods.
func (a PluginArgs) fit(object *unstructured.Unstructured, namespace string, mark pulumi.StringOutput) error {
	if object.GetNamespace() != "" {
		object.SetNamespace(namespace)
	}
	version := ":v" + PluginRelease.Version
	switch object.GetKind() {
	case "Secret":
		unstructured.RemoveNestedField(object.Object, "data")
		return unstructured.SetNestedField(object.Object, sidecarImage+version, "stringData", "SIDECAR_IMAGE")
	case "RoleBinding", "ClusterRoleBinding":
		subjects, _, err := unstructured.NestedSlice(object.Object, "subjects")
		if err != nil {
			return err
		}
		for _, subject := range subjects {
			subject.(map[string]any)["namespace"] = namespace
		}
		return unstructured.SetNestedSlice(object.Object, subjects, "subjects")
	case "Service":
		if a.AnyNode {
			return nil
		}
		// A connection to a pod on a lost node would cost a failover another 15 s.
		return unstructured.SetNestedField(object.Object, "PreferSameNode", "spec", "trafficDistribution")
	case "Deployment":
		if err := a.fitDeployment(object, version); err != nil {
			return err
		}
		template := object.Object["spec"].(fields)["template"].(fields)
		template["metadata"].(fields)["annotations"] = fields{certificatesAnnotation: mark}
	}
	return nil
}

// fitDeployment lets each pod of the plugin serve. With an election the others would wait for the leader's
// end, and never be ready. What an election would guard is roles, which each pod makes the same.
// Source: https://github.com/cloudnative-pg/plugin-barman-cloud/issues/620
func (a PluginArgs) fitDeployment(object *unstructured.Unstructured, version string) error {
	if err := setReplicas(object, a.Replicas); err != nil {
		return err
	}
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(object.Object, path...)
	if err != nil {
		return err
	}
	if len(containers) != 1 {
		return fmt.Errorf("it has %d containers, and not 1", len(containers))
	}
	container := containers[0].(map[string]any)
	container["image"] = pluginImage + version
	arguments, _, err := unstructured.NestedStringSlice(container, "args")
	if err != nil {
		return err
	}
	arguments = slices.DeleteFunc(arguments, func(argument string) bool { return argument == "--leader-elect" })
	if err := unstructured.SetNestedStringSlice(container, arguments, "args"); err != nil {
		return err
	}
	if err := unstructured.SetNestedSlice(object.Object, containers, path...); err != nil {
		return err
	}
	return unstructured.SetNestedMap(object.Object, affinity, "spec", "template", "spec", "affinity")
}

// affinity puts each pod on another node, and each beside a pod of the operator.
var affinity = fields{
	"podAntiAffinity": preferred(100, "app", pluginService),
	"podAffinity":     preferred(50, OperatorLabel, OperatorApp),
}

func preferred(weight int64, label, value string) fields {
	return fields{"preferredDuringSchedulingIgnoredDuringExecution": []any{fields{
		"weight": weight, "podAffinityTerm": fields{"topologyKey": "kubernetes.io/hostname",
			"labelSelector": fields{"matchLabels": fields{label: value}}},
	}}}
}
