package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

const (
	monitoring = "monitoring"
	// scrapeInterval is how often the builtin Prometheus asks all targets.
	scrapeInterval = 15 * time.Second
	scrapeWindow   = time.Minute
)

// measureScrape measures what the builtin Prometheus costs: its memory, and the CPU time of all pods with it
// less that without it.
func measureScrape(ctx context.Context, c *cluster) error {
	if _, err := run(ctx, nil, "pulumi", "config", "set", "monitoring", "builtin"); err != nil {
		return err
	}
	if err := c.makeLab(ctx, "up"); err != nil {
		return err
	}
	var costs []float64
	var memory int64
	for range rounds {
		with, err := c.cores(ctx, scrapeWindow)
		if err != nil {
			return err
		}
		if memory, err = c.memory(ctx, "prometheus"); err != nil {
			return err
		}
		if err := scalePrometheus(ctx, 0); err != nil {
			return err
		}
		without, err := c.cores(ctx, scrapeWindow)
		if err != nil {
			return err
		}
		if err := scalePrometheus(ctx, 1); err != nil {
			return err
		}
		fmt.Printf("pods use %.4f cores with Prometheus, %.4f without\n", with, without)
		costs = append(costs, (with-without)*scrapeInterval.Seconds())
	}
	up, err := c.countTargets(ctx, "count(up == 1)")
	if err != nil {
		return err
	}
	all, err := c.countTargets(ctx, "count(up)")
	if err != nil {
		return err
	}
	printTable("the builtin Prometheus", "figure", "should be")
	printRow("targets scraped | %d | all %d", up, all)
	printRow("its memory | %.0f MB | at most 200 MB", float64(memory)/1e6)
	printRow("CPU of a scrape of all targets, all pods | %.2f s | at most 0.3 s", median(costs))
	fmt.Printf("\nMedians of %d rounds; a scrape includes the rules.\n", rounds)
	return nil
}

func scalePrometheus(ctx context.Context, replicas int) error {
	const set = "statefulset/prometheus-ss"
	_, err := kubectl(ctx, monitoring, nil, "scale", set, "--replicas", strconv.Itoa(replicas))
	if err == nil {
		_, err = kubectl(ctx, monitoring, nil, "rollout", "status", set, "--timeout", "2m")
	}
	if err == nil {
		time.Sleep(2 * scrapeInterval) // what its start or end costs passes
	}
	return err
}

// cores returns how many processors the pods use in a time.
func (c *cluster) cores(ctx context.Context, window time.Duration) (all float64, err error) {
	before, err := c.cpuOfPods(ctx)
	if err != nil {
		return 0, err
	}
	time.Sleep(window)
	after, err := c.cpuOfPods(ctx)
	if err != nil {
		return 0, err
	}
	for pod, now := range after {
		if was, is := before[pod]; is && now.Time.After(was.Time) {
			all += float64(now.UsageCoreNanoSeconds-was.UsageCoreNanoSeconds) / float64(now.Time.Sub(was.Time))
		}
	}
	return all, nil
}

// cpuTime is what the kubelet has counted of a pod.
type cpuTime struct {
	Time                 time.Time
	UsageCoreNanoSeconds int64
}

func (c *cluster) cpuOfPods(ctx context.Context) (map[string]cpuTime, error) {
	raw, err := c.RESTClient().Get().AbsPath("/api/v1/nodes/" + c.lab + "-0/proxy/stats/summary").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var summary struct {
		Pods []struct {
			PodRef struct{ UID string }
			CPU    cpuTime
		}
	}
	if err := json.Unmarshal(raw, &summary); err != nil {
		return nil, err
	}
	pods := map[string]cpuTime{}
	for _, pod := range summary.Pods {
		pods[pod.PodRef.UID] = pod.CPU
	}
	return pods, nil
}

// countTargets asks the Prometheus for a number.
func (c *cluster) countTargets(ctx context.Context, query string) (int, error) {
	raw, err := c.RESTClient().Get().AbsPath("/api/v1/namespaces/"+monitoring+
		"/pods/prometheus-ss-0:9090/proxy/prometheus/api/v1/query").
		Param("query", query).DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("%s has %d results", query, len(answer.Data.Result))
	}
	return strconv.Atoi(fmt.Sprint(answer.Data.Result[0].Value[1]))
}
