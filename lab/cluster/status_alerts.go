package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// prometheus is what the stack calls its own Prometheus, if it has one.
const prometheus = "prometheus"

// alert is one that waits to fire or fires.
// Source: https://prometheus.io/docs/prometheus/latest/querying/api/#alerts
type alert struct {
	State       string
	ActiveAt    time.Time
	Labels      map[string]string
	Annotations map[string]string
}

// addAlerts adds the alerts of the stack's own Prometheus, each that fires as a fault.
func (s server) addAlerts(ctx context.Context, status *Status, pods podList) {
	for _, pod := range pods.Items {
		if pod.Metadata.Labels["app"] == prometheus && pod.Metadata.Name == prometheus+"-ss-0" {
			alerts, err := s.alerts(ctx, pod)
			status.addAlerts(pod.Metadata.Namespace, alerts, err, time.Now())
		}
	}
}

func (s server) alerts(ctx context.Context, pod pod) ([]alert, error) {
	if pod.notReady() != "" {
		return nil, errors.New("its pod is not ready")
	}
	out, err := s.kubectl(ctx, "--request-timeout", "5s", "get", "--raw", fmt.Sprintf(
		"/api/v1/namespaces/%s/pods/%s:9090/proxy/prometheus/api/v1/alerts", pod.Metadata.Namespace,
		pod.Metadata.Name))
	if err != nil {
		return nil, err
	}
	var answer struct{ Data struct{ Alerts []alert } }
	err = json.Unmarshal(out, &answer)
	return answer.Data.Alerts, err
}

func (s *Status) addAlerts(namespace string, alerts []alert, err error, now time.Time) {
	if err != nil {
		s.add("alerts", "%s: not known: %v", namespace, err)
		return
	}
	slices.SortFunc(alerts, func(a, b alert) int {
		return cmp.Or(cmp.Compare(a.Labels["severity"], b.Labels["severity"]), a.ActiveAt.Compare(b.ActiveAt))
	})
	states := map[string]int{}
	for _, alert := range alerts {
		states[alert.State]++
		if alert.State == "firing" {
			s.fault("%s for %s (%s): %s", alert.Labels["alertname"], age(now, alert.ActiveAt),
				alert.Labels["severity"], alert.Annotations["summary"])
		}
	}
	s.add("alerts", "%s: %d firing, %d pending", namespace, states["firing"], states["pending"])
}
