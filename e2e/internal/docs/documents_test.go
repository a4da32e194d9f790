package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../../.."

func TestDocumentsFollowTheRules(t *testing.T) {
	documents, err := Read(root)
	require.NoError(t, err)
	require.NoError(t, CheckReasons(documents, Reasons))
	assert.LessOrEqual(t, len(Reasons), 10)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	assert.LessOrEqual(t, strings.Count(string(readme), "\n"), 170, "lines of the README")
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	// named is a document that a message names.
	named = regexp.MustCompile(`\bdocs/[a-z-]+\.md\b`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	documents, err := Read(root)
	require.NoError(t, err)
	for _, document := range documents {
		text, err := os.ReadFile(filepath.Join(root, document.Name))
		require.NoError(t, err)
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			path, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			target := filepath.Join(root, filepath.Dir(document.Name), path)
			if path == "" {
				target = filepath.Join(root, document.Name)
			}
			content, err := os.ReadFile(target)
			assert.NoError(t, err, document.Name)
			if anchor != "" {
				assert.Contains(t, anchors(string(content)), anchor, "%s: %s", document.Name, found[1])
			}
		}
	}
}

// anchors are GitHub's anchors of headings.
func anchors(markdown string) (all []string) {
	for _, found := range heading.FindAllStringSubmatch(markdown, -1) {
		anchor := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(found[1]), "")
		all = append(all, strings.ReplaceAll(anchor, " ", "-"))
	}
	return all
}

// TestMessagesNameDocuments looks at the files in git alone: beside them the lab unpacks sources of its
// tools.
func TestMessagesNameDocuments(t *testing.T) {
	command := exec.Command("git", "ls-files", "app/**.go", "infra/**.go", "lab/**.go", "*.sh")
	command.Dir = root
	paths, err := command.Output()
	require.NoError(t, err)
	for _, path := range strings.Fields(string(paths)) {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		for _, document := range named.FindAllString(string(text), -1) {
			assert.FileExists(t, filepath.Join(root, document), path)
		}
	}
}
