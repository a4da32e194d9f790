package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticks of the kernel's clock make a second (man 5 proc_pid_stat).
const ticks = 100

// cpuSeconds returns the CPU time of the running processes of each program so far.
func cpuSeconds() map[string]float64 {
	spent := map[string]float64{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, stat := range stats {
		content, err := os.ReadFile(stat)
		if err != nil {
			continue // the process has ended
		}
		_, rest, _ := strings.Cut(string(content), "(")
		end := strings.LastIndex(rest, ")")
		if end < 0 {
			continue
		}
		// The first field after the program's name is number 3; 14 and 15 are user and system time.
		fields := strings.Fields(rest[end+1:])
		for _, field := range fields[11:13] {
			n, _ := strconv.ParseFloat(field, 64) // the kernel writes numbers
			spent[rest[:end]] += n / ticks
		}
	}
	return spent
}
