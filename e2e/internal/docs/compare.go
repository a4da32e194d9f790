package docs

import (
	"fmt"
	"regexp"
	"strings"
)

// rest stands for any text in a line, and alone in a line for any lines.
const rest = "…"

// varying is what differs from run to run.
var varying = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?`), "TIME"},
	{regexp.MustCompile(`\d{8}T\d{6}Z-[0-9a-f]{6}`), "BACKUP"},
	{regexp.MustCompile(`\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?`), "BASE-BACKUP"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\b[0-9a-f]{12,}\b`), "DIGEST"},
	{regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b`), "ADDRESS"},
	// Kubernetes makes the ends of pods' names without vowels.
	{regexp.MustCompile(`(-[0-9a-f]{6,10})?-[bcdfghjklmnpqrstvwxz2456789]{5}\b`), "-POD"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(ns|µs|ms|s|m|h|d))+\b`), "DURATION"},
	{regexp.MustCompile(`\b\d+(\.\d+)? [kMG]?B\b`), "SIZE"},
	{regexp.MustCompile(`(pong |position=|rows=|"pings": ?|"id": ?|/todos/)\d+`), "${1}COUNT"},
	{regexp.MustCompile(`\b\d+ rows\b`), "COUNT rows"},
	{regexp.MustCompile(`-{2,}`), "--"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

// Compare returns an error that names the first line of a document that an output lacks. Empty lines, the
// width of columns, times, ids and counters do not matter.
func Compare(shown, printed string) error {
	lines := normalLines(shown)
	text := strings.Join(normalLines(printed), "\n") + "\n"
	if matches(lines, text, "$") {
		return nil
	}
	missing := len(lines)
	for missing > 0 && !matches(lines[:missing], text, "") {
		missing--
	}
	expected := "no more lines"
	if missing < len(lines) {
		expected = fmt.Sprintf("%q", lines[missing])
	}
	return fmt.Errorf("expected %s, as line %d of the non-empty ones, and it printed\n%s", expected,
		missing+1, end(printed))
}

// end is what a person reads of a long output.
func end(printed string) string {
	const most = 30
	lines := strings.SplitAfter(printed, "\n")
	if len(lines) <= most {
		return printed
	}
	return rest + "\n" + strings.Join(lines[len(lines)-most:], "")
}

func matches(lines []string, text, end string) bool {
	var pattern strings.Builder
	pattern.WriteString("^")
	for _, line := range lines {
		if line == rest {
			pattern.WriteString(`(?:.*\n)*`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), rest, ".*") + `\n`)
	}
	return regexp.MustCompile(pattern.String() + end).MatchString(text)
}

// normalLines are the lines that are not empty, with names in place of the parts that vary.
func normalLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		for _, v := range varying {
			line = v.pattern.ReplaceAllString(line, v.name)
		}
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
