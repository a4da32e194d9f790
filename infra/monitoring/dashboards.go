package monitoring

import (
	"embed"
	"strings"

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
		_, _, err = kube.NewConfigMap(ctx, name+"-"+configMap, kube.ConfigMapArgs{
			Namespace: namespace, App: "grafana", Name: configMap,
			Labels: map[string]string{"grafana_dashboard": "1"},
			Files:  []kube.File{{Name: file.Name(), Content: string(content)}},
		}, parent)
		if err != nil {
			return err
		}
	}
	return nil
}
