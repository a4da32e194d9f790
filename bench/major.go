package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	oldMajor, newMajor = "postgres:17", "postgres:18"
	ballastBytes       = 1_000_000_000
)

// ballast makes a table of about 1 GB with its index.
const ballast = `CREATE TABLE ballast AS SELECT n AS id, n % 1000 AS kind,
		md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text) AS body FROM generate_series(1, 6100000) n;
	ALTER TABLE ballast ADD PRIMARY KEY (id); ANALYZE ballast`

// peers moves the same table by hand: by dump and restore, and by pg_upgrade. It prints the seconds of each.
//
//go:embed major.sh
var peers string

// measureMajor compares the time without writes of a move to a new major version of Postgres with what people
// do by hand. Clients add todos meanwhile. The databases begin anew, and are left on the new version.
func measureMajor(ctx context.Context, c *cluster) (err error) {
	if err := c.beginWith(ctx, oldMajor); err != nil {
		return err
	}
	if _, err := run(ctx, nil, "pulumi", "config", "set", "postgresImage", newMajor); err != nil {
		return err
	}
	byHand, err := c.measurePeers(ctx)
	if err != nil {
		return err
	}
	if _, err := todos.sql(ctx, "SET ROLE todo; "+ballast); err != nil {
		return err
	}
	size, err := todos.sqlNumber(ctx, "SELECT pg_database_size(current_database())")
	if err != nil {
		return err
	}
	if size < ballastBytes {
		return fmt.Errorf("the database has %d bytes, not 1 GB", size)
	}
	ours, up, err := measureMove(ctx)
	if err != nil {
		return err
	}
	printTable(fmt.Sprintf("%s to %s, %.2f GB", oldMajor, newMajor, float64(size)/1e9), "s without writes",
		"way back")
	printRow("pulumi up (%.0f s in all, with the backup before it) | %.1f | the old claim, one setting",
		up.Seconds(), ours.Seconds())
	printRow("pg_dump, pg_restore and ANALYZE by hand, two jobs each | %.1f | the old server",
		byHand["save"]+byHand["load"])
	printRow("pg_upgrade --link by hand, both versions in one image | %.1f | a backup", byHand["upgrade"])
	fmt.Println("\nOne run. By hand nothing is compared, and typing takes no time.")
	return nil
}

// beginWith replaces the databases by empty ones of an image, which the lab gets.
func (c *cluster) beginWith(ctx context.Context, image string) error {
	if _, err := run(ctx, nil, "pulumi", "config", "set", "postgresImage", image); err != nil {
		return err
	}
	for _, namespace := range []string{"exercises", "project"} {
		for _, object := range []string{"statefulset/postgres-ss", "pvc/data-postgres-ss-0"} {
			if _, err := kubectl(ctx, namespace, nil, "delete", object); err != nil {
				return err
			}
		}
	}
	return c.makeLab(ctx, "up")
}

// measureMove makes an up, and returns the longest time without a new todo and the time of the up.
func measureMove(ctx context.Context) (longest, took time.Duration, err error) {
	url, err := run(ctx, nil, "pulumi", "stack", "output", "todoUrl")
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	done := make(chan error, 1)
	go func() {
		_, err := run(ctx, nil, "pulumi", "up", "--yes", "--skip-preview")
		done <- err
	}()
	client := http.Client{Timeout: 2 * time.Second}
	for last := start; ; {
		if addTodo(ctx, &client, url) == nil {
			longest, last = max(longest, time.Since(last)), time.Now()
		}
		select {
		case err := <-done:
			return longest, time.Since(start), err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func addTodo(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"todos",
		strings.NewReader(`{"title": "bench: move"}`))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		return errors.New(response.Status)
	}
	return nil
}

// measurePeers returns the seconds of each peer. A pod has the images of both versions.
func (c *cluster) measurePeers(ctx context.Context) (seconds map[string]float64, err error) {
	const name, namespace = "bench-major", "default"
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Volumes: []corev1.Volume{{Name: "shared",
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}}
	for container, image := range map[string]string{"old": oldMajor, "new": newMajor} {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: container, Image: image,
			Command:      []string{"sleep", "infinity"},
			Env:          []corev1.EnvVar{{Name: "BALLAST", Value: ballast}},
			VolumeMounts: []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}}})
	}
	if _, err := c.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	defer func() {
		_, deleted := kubectl(context.WithoutCancel(ctx), namespace, nil, "delete", "pod", name, "--grace-period=1")
		err = errors.Join(err, deleted)
	}()
	_, err = kubectl(ctx, namespace, nil, "wait", "--for=condition=Ready", "--timeout=2m", "pod/"+name)
	if err != nil {
		return nil, err
	}
	seconds = map[string]float64{}
	for _, step := range []struct{ container, function string }{
		{"old", "prepare"}, {"old", "save"}, {"new", "load"}, {"new", "upgrade"},
	} {
		printed, err := kubectl(ctx, namespace, []byte(peers+"\n"+step.function), "exec", "--stdin", name,
			"--container", step.container, "--", "bash", "-s")
		if err != nil {
			return nil, fmt.Errorf("%s by hand: %w", step.function, err)
		}
		if seconds[step.function], err = strconv.ParseFloat(printed, 64); err != nil {
			return nil, err
		}
	}
	return seconds, nil
}
