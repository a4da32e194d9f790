package monitoring

import (
	"embed"
	"fmt"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

//go:embed dashboards/*.json
var dashboardFiles embed.FS

// declareDashboards declares them where Grafana's sidecar looks for them.
// Source: https://github.com/grafana/helm-charts/tree/main/charts/grafana#sidecar-for-dashboards
func declareDashboards(ctx *pulumi.Context, name string, namespace *kube.Namespace,
	parent pulumi.ResourceOption) error {
	const dir = "dashboards"
	files, err := dashboardFiles.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := dashboardFiles.ReadFile(dir + "/" + file.Name())
		if err != nil {
			return err
		}
		configMap := "dashboard-" + strings.TrimSuffix(file.Name(), ".json")
		_, err = corev1.NewConfigMap(ctx, name+"-"+configMap, &corev1.ConfigMapArgs{
			Metadata: namespace.Meta("grafana", configMap, map[string]string{"grafana_dashboard": "1"}),
			Data:     pulumi.StringMap{file.Name(): pulumi.String(content)},
		}, parent, namespace.Ready())
		if err != nil {
			return fmt.Errorf("declaring config map %s: %w", configMap, err)
		}
	}
	return nil
}
