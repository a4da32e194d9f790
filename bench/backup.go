package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// damagedBytes is how many single bytes of stored objects are changed.
const damagedBytes = 1000

// measureBackup measures how long each part of a backup takes in the files of its image, what memory its pod
// needs, and whether its tests find the damages that they do.
func measureBackup(ctx context.Context, c *cluster) error {
	for _, measure := range []func(context.Context) error{measureBackupTime, c.measureBackupMemory,
		measureDamages} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

func measureBackupTime(ctx context.Context) error {
	figures, err := backupFigures(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\n| a dump of %.2f GB, compressed by zstd of level 3 | s | peer | s | ratio | should be |\n|---|---|---|---|---|---|\n", figures["dump-B"]/1e9)
	for _, row := range []struct {
		what, ours, peer, theirs string
		most                     float64
	}{
		{"snapshot, dump and upload without hashes", "store", "pg_dump to a local file", "pg_dump", 1.15},
		{"the same with hashes of all rows, roles and schema", "record-and-store", "pg_dump to a local file",
			"pg_dump", 1.5},
		{"verify: read back, restore, compare", "verify", "pg_restore of a local file", "pg_restore", 1.3},
		{"restore to a live server: read back, restore, compare, replace", "restore",
			"pg_restore with as many jobs of a local file to the same server", "pg_restore-jobs", 1.3},
	} {
		ours, theirs := figures[row.ours+"-s"], figures[row.theirs+"-s"]
		fmt.Printf("| %s | %.1f | %s | %.1f | %.2f | at most %.2f |\n", row.what, ours, row.peer, theirs,
			ours/theirs, row.most)
	}
	fmt.Printf("\nMedians of %d rounds.\n", rounds)
	return nil
}

var (
	benchmarkLine   = regexp.MustCompile(`(?m)^BenchmarkBackup.*$`)
	benchmarkFigure = regexp.MustCompile(`([\d.e+]+) ([\w/-]+)`)
	damagesLine     = regexp.MustCompile(`\d+ kinds of semantic damage|\d+ of \d+ changed bytes`)
)

// backupFigures are those of the benchmark, by their units.
func backupFigures(ctx context.Context) (map[string]float64, error) {
	out, err := goTest(ctx, "-run=^$", "-bench=Backup", "-benchtime=1x")
	if err != nil {
		return nil, err
	}
	figures := map[string]float64{}
	for _, match := range benchmarkFigure.FindAllStringSubmatch(benchmarkLine.FindString(out), -1) {
		if figures[match[2]], err = strconv.ParseFloat(match[1], 64); err != nil {
			return nil, err
		}
	}
	return figures, nil
}

// measureDamages fails if a single damage is not found.
func measureDamages(ctx context.Context) error {
	if err := os.Setenv("DAMAGES", strconv.Itoa(damagedBytes)); err != nil {
		return err
	}
	out, err := goTest(ctx, "-run=Damage", "-v", "-count=1")
	if err != nil {
		return err
	}
	damages := damagesLine.FindAllString(out, -1)
	if len(damages) != 2 {
		return errors.New("the tests do not say what they have damaged")
	}
	fmt.Printf("\n| damages | found |\n|---|---|\n")
	for _, damage := range damages {
		fmt.Printf("| %s | all |\n", damage)
	}
	return nil
}

// goTest runs tests of app/backup, shows what they print and returns it.
func goTest(ctx context.Context, args ...string) (string, error) {
	args = append(append([]string{"test", "-timeout=2h"}, args...), "./app/backup")
	cmd := exec.CommandContext(ctx, "go", args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stdout, &out), os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return out.String(), nil
}
