package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMakeAloneListsTheDocumentedCommands(t *testing.T) {
	said, err := exec.Command("make", "--no-print-directory", "-C", "..").CombinedOutput()
	require.NoError(t, err, string(said))
	document, err := os.ReadFile("../docs/lab.md")
	require.NoError(t, err)
	var documented, listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `make ([a-z-]+)` \\|").FindAllStringSubmatch(
		string(document), -1) {
		documented = append(documented, row[1])
	}
	for line := range strings.Lines(string(said)) {
		assert.LessOrEqual(t, len(line), 80)
		require.Regexp(t, "^make [a-z-]+ +[a-z].*", line)
		listed = append(listed, strings.Fields(line)[1])
	}
	assert.NotEmpty(t, listed)
	assert.ElementsMatch(t, documented, listed)
}

func TestOnlyTheWordItselfConfirms(t *testing.T) {
	for answer, confirmed := range map[string]bool{
		"dev\n": true, " dev \r\n": true, "dev": true,
		"": false, "\n": false, "y\n": false, "yes\n": false, "Dev\n": false, "dev2\n": false, "de\nv\n": false,
		"\ndev\n": false,
	} {
		assert.Equal(t, confirmed, confirm(strings.NewReader(answer), "Type dev: ", "dev"), "%q", answer)
	}
}
