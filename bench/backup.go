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

// damagedBytes is how many bytes of stored objects are changed, one at a time.
const damagedBytes = 1000

// measureBackup measures how long each part of a backup takes in the files of its image, how much memory its
// pod needs, and whether verification finds damage.
func measureBackup(ctx context.Context, c *cluster) error {
	if err := measureBackupTime(ctx); err != nil {
		return err
	}
	if err := c.measureBackupMemory(ctx); err != nil {
		return err
	}
	return measureDamage(ctx)
}

func measureBackupTime(ctx context.Context) error {
	figures, err := backupFigures(ctx)
	if err != nil {
		return err
	}
	printTable(fmt.Sprintf("a dump of %.2f GB, compressed by zstd of level 3", figures["dump-B"]/1e9), "s",
		"peer", "s",
		"ratio", "should be")
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
		printRow("%s | %.1f | %s | %.1f | %.2f | at most %.2f", row.what, ours, row.peer, theirs, ours/theirs,
			row.most)
	}
	fmt.Printf("\nMedians of %d rounds.\n", rounds)
	return nil
}

var (
	benchmarkLine   = regexp.MustCompile(`(?m)^BenchmarkBackup.*$`)
	benchmarkFigure = regexp.MustCompile(`([\d.e+]+) ([\w/-]+)`)
	damagesLine     = regexp.MustCompile(`\d+ kinds of semantic damage|\d+ of \d+ changed bytes`)
)

// backupFigures runs the benchmark and returns its figures by unit.
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

// measureDamage fails if verification misses a single damage.
func measureDamage(ctx context.Context) error {
	if err := os.Setenv("DAMAGES", strconv.Itoa(damagedBytes)); err != nil {
		return err
	}
	out, err := goTest(ctx, "-run=Damage", "-v", "-count=1")
	if err != nil {
		return err
	}
	damages := damagesLine.FindAllString(out, -1)
	if len(damages) != 2 {
		return errors.New("the output of the tests does not count the damages")
	}
	printTable("damages", "found")
	for _, damage := range damages {
		printRow("%s | all", damage)
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
