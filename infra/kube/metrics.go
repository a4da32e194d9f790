package kube

import "fmt"

const (
	// MetricsPort is the port of a web app's metrics.
	MetricsPort = 9090
	// MetricsPortName is the name of every container's port with metrics. A pod has at most one.
	MetricsPortName = "metrics"
)

// Metrics says where the pods of an app serve metrics, at /metrics.
type Metrics struct {
	// Job is what Prometheus calls the app. Database is the database that it is about; empty for none.
	Job, Database string
	Pods          Pods
	// Count is how many pods there should be.
	Port, Count int
}

// Name is different for each of a stack's Metrics.
func (m Metrics) Name() string {
	if m.Database == "" {
		return m.Job
	}
	return m.Job + "-" + m.Database
}

// Labels are the labels of the metrics beside job and namespace.
func (m Metrics) Labels() map[string]string {
	if m.Database == "" {
		return nil
	}
	return map[string]string{"database": m.Database}
}

// Metrics of a web app.
func (w WebApp) Metrics() Metrics {
	return Metrics{Job: w.Name, Pods: w.Pods(), Port: MetricsPort, Count: w.Replicas}
}

// ScrapeAnnotations are annotations by which a Prometheus finds the metrics of pods; nil without a port, or
// if the namespace has none.
func (n *Namespace) ScrapeAnnotations(port int) map[string]string {
	if port == 0 || !n.annotated {
		return nil
	}
	return map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": fmt.Sprint(port),
		"prometheus.io/path": "/metrics"}
}
