package monitoring

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

var (
	//go:embed prometheus.yml.tmpl
	configTemplate string
	//go:embed expected.yaml.tmpl
	expectedTemplate string
	// rules are the alerts. They name no object of a stack.
	//go:embed rules.yaml
	rules string
)

// files are the configuration of the Prometheus.
func (p *Prometheus) files(metrics []kube.Metrics) ([]kube.File, error) {
	config, err := fill("prometheus.yml", configTemplate, struct {
		Namespace string
		Metrics   []kube.Metrics
	}{p.Namespace.Name, metrics})
	if err != nil {
		return nil, err
	}
	expected, err := expectedRules(metrics)
	return []kube.File{{Name: "prometheus.yml", Content: config}, {Name: "rules.yaml", Content: rules},
		{Name: "expected.yaml", Content: expected}}, err
}

// expectedRules record how many pods there should be, for alerts.
func expectedRules(metrics []kube.Metrics) (string, error) {
	return fill("expected.yaml", expectedTemplate, metrics)
}

func fill(name, text string, data any) (string, error) {
	page, err := template.New(name).Funcs(template.FuncMap{"service": service}).Parse(text)
	if err != nil {
		return "", fmt.Errorf("reading the template of %s: %w", name, err)
	}
	var filled strings.Builder
	if err := page.Execute(&filled, data); err != nil {
		return "", fmt.Errorf("filling the template of %s: %w", name, err)
	}
	return filled.String(), nil
}
