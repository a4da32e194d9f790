package config

import (
	"strings"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Monitoring says who reads the metrics.
type Monitoring struct {
	// Mode is NoMonitoring, or one of the others.
	Mode string
	// Scrapers are the pods of a Prometheus that is there.
	Scrapers kube.Pods
	// ObjectLabels are for objects of the Prometheus operator.
	ObjectLabels map[string]string
	Prometheus   Prometheus
}

// Prometheus holds the settings of the stack's own. Memory and StorageSize are Kubernetes quantities.
type Prometheus struct {
	Image, StorageSize, Memory string
	KeepDays                   int
	Ingress                    bool
}

// What can read the metrics.
const (
	NoMonitoring = "none"
	Annotations  = "annotations"
	Operator     = "operator"
	Builtin      = "builtin"
)

var (
	monitoring = matches("^("+NoMonitoring+"|"+Annotations+"|"+Operator+"|"+Builtin+")$",
		NoMonitoring+", "+Annotations+", "+Operator+" or "+Builtin)
	podLabels = satisfies("a list of labels, as LABEL=VALUE with spaces between them",
		listOf(func(text string) bool {
			_, _, valid := parseLabel(text)
			return valid
		}))
)

func (r *reader) monitoring() Monitoring {
	const namespaceKey, labelsKey = "monitoringNamespace", "monitoringLabels"
	const objectsKey, ingressKey = "monitoringObjectLabels", "prometheusIngress"
	m := Monitoring{
		Mode: r.text("monitoring", monitoring, Builtin),
		Scrapers: kube.Pods{
			Namespace: &kube.Namespace{Name: r.text(namespaceKey, optional(label("a namespace")), "monitoring")},
			Labels:    r.labels(labelsKey, "app.kubernetes.io/name=prometheus"),
		},
		ObjectLabels: r.labels(objectsKey, "release=kube-prometheus-stack"),
		Prometheus: Prometheus{
			Image:       r.text("prometheusImage", image, "prom/prometheus:v2.53.3"),
			StorageSize: r.text("prometheusStorageSize", size("256Mi"), "2Gi"),
			Memory:      r.text("prometheusMemory", memory("128Mi"), "180Mi"),
			KeepDays:    r.number("prometheusKeepDays", days, "15"),
			Ingress:     r.boolean(ingressKey, "true"),
		},
	}
	theirs := m.Mode == Annotations || m.Mode == Operator
	for _, setting := range []struct {
		key  string
		used bool
	}{{namespaceKey, theirs}, {labelsKey, theirs}, {objectsKey, m.Mode == Operator}} {
		key := setting.key
		if !setting.used && !r.faulty("monitoring") && !r.faulty(key) && r.read(key) != "" {
			r.fault(key, "set, though monitoring is %s; for example: %s", m.Mode, rm(key))
		}
	}
	if m.Prometheus.Ingress && !r.faulty("monitoring") {
		switch {
		case m.Mode != Builtin:
			r.fault(ingressKey, "true, though monitoring is %s; for example: %s", m.Mode, rm(ingressKey))
		case r.read("ingressClass") == noIngress:
			r.fault(ingressKey, "true, though ingressClass is %s; for example: %s", noIngress, rm(ingressKey))
		}
	}
	if m.Scrapers.Namespace.Name == "" {
		m.Scrapers.Namespace.Name = "monitoring"
	}
	if len(m.Scrapers.Labels) == 0 {
		m.Scrapers.Labels = map[string]string{"app.kubernetes.io/name": "prometheus"}
	}
	return m
}

// labels reads labels of objects.
func (r *reader) labels(key, example string) map[string]string {
	labels := map[string]string{}
	for _, text := range strings.Fields(r.text(key, optional(podLabels), example)) {
		name, value, _ := parseLabel(text)
		labels[name] = value
	}
	return labels
}
