package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

const (
	backupJob   = "bench-backup"
	sampleEvery = 50 * time.Millisecond
)

// measureBackupMemory measures backups of a small and of a large database.
func (c *cluster) measureBackupMemory(ctx context.Context) (err error) {
	const drop = `DROP TABLE IF EXISTS bench`
	defer func() {
		_, dropErr := todos.sql(context.WithoutCancel(ctx), drop)
		err = errors.Join(err, dropErr)
	}()
	var table strings.Builder
	for _, rows := range []int{load.GigabyteRows / 100, load.GigabyteRows} {
		for _, statement := range []string{drop, load.RandomRows(rows)} {
			if _, err := todos.sql(ctx, statement); err != nil {
				return err
			}
		}
		size, err := todos.sqlNumber(ctx, `SELECT pg_database_size(current_database())`)
		if err != nil {
			return err
		}
		var peak, peakRest int64
		for range rounds {
			all, rest, err := c.backUp(ctx)
			if err != nil {
				return err
			}
			fmt.Printf("backup of a database of %.0f MB: %.1f MB, %.1f MB without the throwaway server\n",
				float64(size)/1e6, float64(all)/1e6, float64(rest)/1e6)
			peak, peakRest = max(peak, all), max(peakRest, rest)
		}
		fmt.Fprintf(&table, "| database of %.0f MB | %.1f | %.1f | at most 96 |\n", float64(size)/1e6,
			float64(peak)/1e6, float64(peakRest)/1e6)
	}
	printTable("peak memory of the Job's pod without page cache, MB", "all", "without the throwaway server",
		"should be")
	fmt.Print(&table)
	fmt.Printf("\nThe largest of %d runs, sampled every %s.\n", rounds, sampleEvery)
	return nil
}

// backUp runs a Job of the CronJob and returns the peaks of sampleMemory in its pod.
func (c *cluster) backUp(ctx context.Context) (peak, rest int64, err error) {
	_, err = kubectl(ctx, todos.namespace, nil, "create", "job", backupJob, "--from=cronjob/backup")
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		_, deleteErr := kubectl(context.WithoutCancel(ctx), todos.namespace, nil, "delete", "job", backupJob,
			"--cascade=foreground")
		err = errors.Join(err, deleteErr)
	}()
	var group string
	ticks := time.NewTicker(sampleEvery)
	defer ticks.Stop()
	for ; ; <-ticks.C {
		if group != "" {
			all, others, err := sampleMemory(group)
			if err == nil {
				peak, rest = max(peak, all), max(rest, others)
				continue
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return 0, 0, err
			}
		}
		list, err := c.CoreV1().Pods(todos.namespace).List(ctx,
			metav1.ListOptions{LabelSelector: "job-name=" + backupJob})
		if err != nil {
			return 0, 0, err
		}
		for _, pod := range list.Items {
			switch pod.Status.Phase {
			case corev1.PodSucceeded:
				return peak, rest, nil
			case corev1.PodFailed:
				return 0, 0, fmt.Errorf("pod %s failed", pod.Name)
			}
			if group, err = memoryGroup(string(pod.UID)); err != nil {
				return 0, 0, err
			}
		}
	}
}

// memoryGroup returns the folder of a pod's control group, or "" if there is none.
func memoryGroup(uid string) (group string, err error) {
	root := "/sys/fs/cgroup/memory" // version 1
	if _, err := os.Stat(root); err != nil {
		root = "/sys/fs/cgroup"
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		// systemd's driver writes the UID with underscores.
		if err == nil && entry.IsDir() && strings.Contains(strings.ReplaceAll(entry.Name(), "_", "-"), uid) {
			group = path
			return fs.SkipAll
		}
		return nil // other groups may disappear meanwhile
	})
	return group, err
}

// sampleMemory returns the memory of a pod's control group without page cache, in bytes, and the same without
// the processes of Postgres. The second is a sum over the other processes: subtracting Postgres' own would
// miss servers that are just ending.
func sampleMemory(group string) (all, rest int64, err error) {
	kernel, processes, err := groupMemory(group)
	if err != nil {
		return 0, 0, err
	}
	all, rest = kernel+processes, kernel
	lists, err := filepath.Glob(group + "/*/cgroup.procs")
	if err != nil {
		return 0, 0, err
	}
	for _, list := range lists {
		listed, _ := os.ReadFile(list) // fails if the container has ended
		for _, process := range strings.Fields(string(listed)) {
			dir := "/proc/" + process
			if program, err := os.Readlink(dir + "/exe"); err != nil || filepath.Base(program) == "postgres" {
				continue
			}
			rollup, _ := os.ReadFile(dir + "/smaps_rollup") // fails if the process has ended
			rest += 1024 * (field(rollup, "Pss_Anon:") + field(rollup, "Pss_Shmem:"))
		}
	}
	return all, rest, nil
}

func groupMemory(group string) (kernel, processes int64, err error) {
	stat, err := os.ReadFile(group + "/memory.stat")
	if err != nil {
		return 0, 0, err
	}
	usage, err := os.ReadFile(group + "/memory.kmem.usage_in_bytes")
	if errors.Is(err, fs.ErrNotExist) { // version 2
		return field(stat, "kernel"), field(stat, "anon") + field(stat, "shmem"), nil
	}
	if err != nil {
		return 0, 0, err
	}
	kernel, err = strconv.ParseInt(strings.TrimSpace(string(usage)), 10, 64)
	return kernel, field(stat, "total_rss") + field(stat, "total_shmem"), err
}

// field returns the number after a name at the beginning of a line, or 0 if there is none.
func field(text []byte, name string) int64 {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 1 && fields[0] == name {
			number, _ := strconv.ParseInt(fields[1], 10, 64) // the kernel writes numbers
			return number
		}
	}
	return 0
}
