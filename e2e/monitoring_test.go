package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/network"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/prometheus"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
	"github.com/stateful-k3s/stateful-k3s/internal/connections"
)

// TestMonitoring gives the stack a Prometheus of its own, and backups and daily todos every minute. Metrics
// of both have the schedules, so the pods that tell them restart.
func TestMonitoring(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	others := func() string {
		return c.Kubectl("get", "pods", "--all-namespaces", "--selector",
			kube.Lasting+",app notin ("+store.Metrics+",todo-backend,prometheus)", "--output",
			"jsonpath={.items[*].metadata.uid}")
	}
	renewPostgres(c)
	before, wiki := others(), startEncyclopedia(t)
	t.Cleanup(func() { c.Kubectl("delete", "namespace", prometheus.Namespace, "--ignore-not-found") })
	t.Cleanup(func() {
		deleteDaily(c.In(project))
		postgres.Query(c.In(project), "DELETE FROM todo WHERE title LIKE 'Read "+wiki.URL+"/%'")
	})
	pulumi.Configure(t, nil, append(wiki.settings(), "monitoring=builtin", "backupSchedule=* * * * *")...)
	pulumi.MakeUp(t)
	assert.Equal(t, before, others(), "no pod restarts for being looked at")
	// The first of the faults, since they take two minutes to show.
	suspend(c.In(project), store.Backup, true)
	suspend(c.In(project), dailyTodo, true)
	addDailyTodo(c.In(project))

	t.Run("all targets are up", func(t *testing.T) { allTargetsAreUp(c.For(t)) })
	t.Run("no other pod reads metrics", func(t *testing.T) { onlyPrometheusReadsMetrics(c.For(t)) })
	t.Run("metrics have values", func(t *testing.T) { metricsHaveValues(c.For(t)) })
	t.Run("metrics of rules exist", func(t *testing.T) { metricsOfRulesExist(c.For(t)) })
	killPostgres(c)
	hasten(c)
	t.Run("dashboards", func(t *testing.T) { dashboardsShow(c.For(t)) })
	t.Run("alerts", func(t *testing.T) { alertsFireAndClear(c.For(t), faultsOfServers, faultsOfStores) })
}

// metricsPorts are the ports of all pods of the stack that are called metrics, as ADDRESS:PORT.
func metricsPorts(c *kube.Cluster) map[string]bool {
	ports := map[string]bool{}
	for _, pod := range c.Running() {
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				if port.Name == "metrics" && kube.IsOurs(pod) {
					ports[fmt.Sprintf("%s:%d", pod.Status.PodIP, port.ContainerPort)] = true
				}
			}
		}
	}
	return ports
}

func allTargetsAreUp(c *kube.Cluster) {
	want := slices.Sorted(maps.Keys(metricsPorts(c)))
	require.Len(c.T, want, 13)
	prometheus.Until(c, `up{job!="prometheus"} == 1`, func(up []prometheus.Sample) error {
		var is []string
		for _, target := range up {
			is = append(is, target.Labels["instance"])
		}
		slices.Sort(is)
		if !slices.Equal(want, is) {
			return fmt.Errorf("wanted %v", want)
		}
		return nil
	})
	missing, err := prometheus.Query(c,
		`sum by(job, namespace, database) (up) != on(job, namespace, database) expected_targets`)
	require.NoError(c.T, err)
	assert.Empty(c.T, missing, "targets that are not as many as there should be")
}

func onlyPrometheusReadsMetrics(c *kube.Cluster) {
	document, err := os.ReadFile(filepath.Join(lab.Checkout, "docs/connections.md"))
	require.NoError(c.T, err)
	tables, err := connections.Parse(string(document))
	require.NoError(c.T, err)
	pods, ports := c.Running(), metricsPorts(c)
	targets := slices.DeleteFunc(network.TargetsInCluster(c, pods), func(to network.Target) bool {
		return !ports[to.Address.String()]
	})
	origins := slices.DeleteFunc(network.Origins(c, pods),
		func(from network.Origin) bool { return from.Pod == nil })
	pairs, _ := guardedPairs(origins, targets, tables["With `monitoring` `builtin`"])
	require.NoError(c.T, network.Try(c.T.Context(), pairs))
	for _, p := range pairs {
		own := p.From.Pod.Namespace == prometheus.Namespace
		assert.Equal(c.T, own, p.Wanted, p)
		assert.Equal(c.T, own, p.Err == nil, "%s: %v", p, p.Err)
	}
}

// metricsHaveValues asks for a metric of each kind.
func metricsHaveValues(c *kube.Cluster) {
	for expression, count := range map[string]int{
		`pgxpool_max_conns{job=~"pingpong|todo-backend"} == 5`: 4,
		`pg_up == 1`:                      2,
		`pg_stat_archiver_archived_count`: 2,
		`redis_up == 1`:                   2,
		`volume_available_bytes > 0 and volume_available_bytes < volume_capacity_bytes`: 5,
		`certificate_not_after_timestamp_seconds > time() + 9 * 365 * 86400`:            3,
		`archive_last_segment_timestamp_seconds > time() - 86400`:                       2,
		`archive_size_bytes > 1e6`:                                                    2,
		`archive_gap == 0`:                                                            2,
		`backup_last_run_success == 1`:                                                2,
		`backup_schedule_interval_seconds == 60`:                                      2,
		`daily_todo_schedule_interval_seconds == 60`:                                  2,
		`daily_todo_last_added_timestamp_seconds`:                                     2,
		`http_request_duration_seconds_count{job="storage",route="PUT",status="200"}`: 1,
	} {
		prometheus.Until(c, expression, func(samples []prometheus.Sample) error {
			if len(samples) != count {
				return errors.New("wanted other metrics")
			}
			return nil
		})
	}
}

// metricNames matches names of the stack's metrics, not those of CloudNativePG: this lab has no such server.
// TestSeveralNodes has some.
var metricNames = regexp.MustCompile(`\b(?:(?:pg|redis|backup|archive|volume|certificate|daily_todo|` +
	`pgxpool|pingpong|http|process)_\w+|expected_targets|running_instances|requests\w*:rate5m)\b`)

// metricsOfRulesExist looks for each metric that rules and dashboards name. Requests have none before there
// is one.
func metricsOfRulesExist(c *kube.Cluster) {
	urls := pulumi.GetOutputs(c.T)
	fetch(c.T, urls.TodoURL, "")
	fetch(c.T, urls.PingpongURL, "")
	want := namesOfRules(c.T, metricNames)
	require.Greater(c.T, len(want), 40)
	names := slices.Sorted(maps.Keys(want))
	prometheus.Until(c, `count by (__name__) ({__name__=~"`+strings.Join(names, "|")+`"})`,
		func(samples []prometheus.Sample) error {
			missing := maps.Clone(want)
			for _, sample := range samples {
				delete(missing, sample.Labels["__name__"])
			}
			if len(missing) > 0 {
				return fmt.Errorf("missing: %v", slices.Sorted(maps.Keys(missing)))
			}
			return nil
		})
}

// namesOfRules returns what rules and dashboards name.
func namesOfRules(t *testing.T, names *regexp.Regexp) map[string]bool {
	files, err := filepath.Glob(filepath.Join(lab.Checkout, "infra/monitoring/dashboards/*.json"))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, file := range append(files, filepath.Join(lab.Checkout, "infra/monitoring/rules.yaml")) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range names.FindAllString(string(text), -1) {
			found[name] = true
		}
	}
	return found
}

var cloudNativePGNames = regexp.MustCompile(`\bcnpg_\w+`)

// ofPrimaries are metrics that standbys have not.
const ofPrimaries = "cnpg_pg_stat_archiver_"

// cloudNativePGHasMetrics asks each server of a database for the metrics that rules and dashboards name.
func cloudNativePGHasMetrics(c *kube.Cluster) {
	want := namesOfRules(c.T, cloudNativePGNames)
	require.Greater(c.T, len(want), 8)
	pods := c.Pods("cnpg.io/podRole=instance")
	require.NotEmpty(c.T, pods)
	for _, pod := range pods {
		wait.Until(c.T, func() error {
			text, err := c.Get(pod.Name, "9187", "/metrics")
			if err != nil {
				return err
			}
			primary := strings.Contains(text, "cnpg_pg_replication_in_recovery 0")
			for name := range want {
				if !primary && strings.HasPrefix(name, ofPrimaries) {
					continue
				}
				if !strings.Contains(text, "\n"+name+"{") && !strings.Contains(text, "\n"+name+" ") {
					return fmt.Errorf("%s has no metric %s", pod.Name, name)
				}
			}
			if limit := `cnpg_pg_settings_setting{name="max_connections"}`; !strings.Contains(text, limit) {
				return fmt.Errorf("%s has no %s", pod.Name, limit)
			}
			return nil
		})
	}
}
