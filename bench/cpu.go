package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticks is how many of the kernel's clock ticks make a second (man 5 proc_pid_stat).
const ticks = 100

// cpuSeconds is what the running processes of each program have spent of the processors so far.
func cpuSeconds() map[string]float64 {
	spent := map[string]float64{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, stat := range stats {
		content, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(content), "(")
		end := strings.LastIndex(rest, ")")
		if end < 0 {
			continue
		}
		// The fields after the program's name begin with the third; the 14th and 15th are user and system time.
		fields := strings.Fields(rest[end+1:])
		for _, field := range fields[11:13] {
			n, _ := strconv.ParseFloat(field, 64) // the kernel writes numbers
			spent[rest[:end]] += n / ticks
		}
	}
	return spent
}
