// Package prometheus asks the stack's own Prometheus.
package prometheus

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

const (
	// Namespace is the one of the server, Pod.
	Namespace = "monitoring"
	Pod       = "prometheus-ss-0"

	port = "9090"
)

// Sample is a value with its labels.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Query returns the values of an expression.
func Query(c *kube.Cluster, expression string) (samples []Sample, err error) {
	var found struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	text, err := c.In(Namespace).Get(Pod, port, "/prometheus/api/v1/query?query="+url.QueryEscape(expression))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	if found.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expression, found.Error)
	}
	for _, result := range found.Data.Result {
		number, err := strconv.ParseFloat(fmt.Sprint(result.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		samples = append(samples, Sample{result.Metric, number})
	}
	return samples, nil
}

// Until waits for an expression to have values that satisfy a condition, and returns them.
func Until(c *kube.Cluster, expression string, condition func([]Sample) error) (samples []Sample) {
	wait.Until(c.T, func() (err error) {
		if samples, err = Query(c, expression); err != nil {
			return err
		}
		if err := condition(samples); err != nil {
			return fmt.Errorf("%s: %w: %v", expression, err, samples)
		}
		return nil
	})
	require.NotEmpty(c.T, samples, expression)
	return samples
}
