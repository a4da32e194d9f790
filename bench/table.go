package main

import (
	"fmt"
	"slices"
	"strings"
)

// printTable starts a table in Markdown with the heads of its columns.
func printTable(heads ...string) {
	fmt.Printf("\n| %s |\n|%s\n", strings.Join(heads, " | "), strings.Repeat("---|", len(heads)))
}

// printRow prints a row of cells, which the format separates by " | ".
func printRow(format string, cells ...any) { fmt.Printf("| "+format+" |\n", cells...) }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
