package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/prometheus"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// fault is something that goes wrong, and is mended again.
type fault struct {
	// cause lets it happen. It returns what mends it.
	cause func(c *kube.Cluster) (mend func())
	// alerts have to fire: a name with labels each.
	alerts []string
	// pod is the one that they have to be about, if others may have the same fault.
	pod string
}

// alertsFireAndClear lets real faults happen. Those of a group happen at the same time.
func alertsFireAndClear(c *kube.Cluster, groups ...map[string]fault) {
	for _, group := range groups {
		c.T.Run("together", func(t *testing.T) {
			for name, fault := range group {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					fault.happen(c.For(t))
				})
			}
		})
	}
}

func (f fault) happen(c *kube.Cluster) {
	mend := sync.OnceFunc(f.cause(c))
	defer mend()
	about := ""
	if f.pod != "" {
		about = `, instance=~"` + c.Pod(f.pod).Status.PodIP + `:.*"`
	}
	firing := func(alert string) string {
		name, labels, _ := strings.Cut(strings.TrimSuffix(alert, "}"), "{")
		return fmt.Sprintf(`ALERTS{alertname="%s", alertstate="firing", %s%s}`, name, labels, about)
	}
	for _, alert := range f.alerts {
		prometheus.Until(c, firing(alert), func(samples []prometheus.Sample) error {
			if len(samples) != 1 {
				return fmt.Errorf("%s does not fire", alert)
			}
			return nil
		})
	}
	mend()
	for _, alert := range f.alerts {
		wait.Until(c.T, func() error {
			samples, err := prometheus.Query(c, firing(alert))
			if err == nil && len(samples) > 0 {
				err = fmt.Errorf("%s still fires", alert)
			}
			return err
		})
	}
}

// Alerts wait for minutes whether a fault passes by itself, which is too long for a test.
var (
	pauses = regexp.MustCompile(`(?m)^( +)for: .*$`)
	// windows are of the one alert that wants to see no success for minutes.
	windows = regexp.MustCompile(`(archived_count|failed_count)\[15m\]`)
)

// hasten makes Prometheus look every second, and its alerts wait for nothing. ArchiveBehind gets a shorter
// window. All other expressions, and all thresholds, stay.
func hasten(c *kube.Cluster) {
	c = c.In(prometheus.Namespace)
	change(c, "prometheus-config", func(files map[string]string) {
		files["rules.yaml"] = windows.ReplaceAllString(
			pauses.ReplaceAllString(files["rules.yaml"], "${1}for: 0s"), "$1[20s]")
		files["prometheus.yml"] = strings.ReplaceAll(files["prometheus.yml"], "15s", "1s")
	})
	c.Kubectl("delete", "pod", prometheus.Pod, "--wait=false") // a new one sees the change at once
	prometheus.Until(c, `prometheus_rule_group_interval_seconds == 1`, func(groups []prometheus.Sample) error {
		if len(groups) == 0 {
			return errors.New("it has not started anew")
		}
		return nil
	})
}

// change changes the files of a ConfigMap.
func change(c *kube.Cluster, name string, change func(files map[string]string)) {
	maps := c.CoreV1().ConfigMaps(c.Namespace)
	found, err := maps.Get(c.T.Context(), name, metav1.GetOptions{})
	require.NoError(c.T, err)
	before := fmt.Sprint(found.Data)
	change(found.Data)
	require.NotEqual(c.T, before, fmt.Sprint(found.Data))
	_, err = maps.Update(c.T.Context(), &corev1.ConfigMap{ObjectMeta: found.ObjectMeta, Data: found.Data},
		metav1.UpdateOptions{})
	require.NoError(c.T, err)
}
