package cluster

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// prometheus is what the stack calls its own Prometheus, if it has one.
const prometheus = "prometheus"

const alertsTimeout = 5 * time.Second

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

// alerts asks over a forwarded port, since policies let the API server reach pods of its own node alone.
func (s server) alerts(ctx context.Context, pod pod) ([]alert, error) {
	if pod.notReady() != "" {
		return nil, errors.New("its pod is not ready")
	}
	ctx, cancel := context.WithTimeout(ctx, alertsTimeout)
	defer cancel()
	forward := s.kubectlCommand(ctx, "port-forward", "--namespace", pod.Metadata.Namespace, pod.Metadata.Name,
		":9090")
	var faults bytes.Buffer
	forward.Stderr = &faults
	said, err := forward.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := forward.Start(); err != nil {
		return nil, err
	}
	line, _ := bufio.NewReader(said).ReadString('\n')
	address, _, _ := strings.Cut(strings.TrimPrefix(line, "Forwarding from "), " ")
	alerts, err := askForAlerts(ctx, "http://"+address+"/prometheus/api/v1/alerts")
	cancel()
	if _ = forward.Wait(); line == "" {
		return nil, fmt.Errorf("forwarding a port: %s", strings.TrimSpace(faults.String()))
	}
	return alerts, err
}

func askForAlerts(ctx context.Context, url string) ([]alert, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct{ Data struct{ Alerts []alert } }
	err = json.NewDecoder(response.Body).Decode(&answer)
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
