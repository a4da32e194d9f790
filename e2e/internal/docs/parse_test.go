package docs

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	blocks, err := Parse("# Title\n\n" +
		"```sh\none\n```\n\n```text\nshown\n```\n\n" +
		"```text\na message alone\n```\n\n" +
		"<!-- not run: waits for a person -->\n```sh\ntwo\nthree\n```\n\n" +
		"```sh\nfour\n```\nprose\n```text\nnot its output\n```\n" +
		"```sh\nfive\n```\n```text\n```\n")
	require.NoError(t, err)
	assert.Equal(t, []Block{
		{Line: 3, Commands: "one\n", Output: "shown\n", ShowsOutput: true},
		{Line: 16, Commands: "two\nthree\n", NotRun: "waits for a person"},
		{Line: 21, Commands: "four\n"},
		{Line: 28, Commands: "five\n", ShowsOutput: true},
	}, blocks)
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, says string }{
		"a block without an end":      {"\n```sh\nls\n", "2: the block has no end"},
		"a block without a language":  {"```\nls\n```\n", "1: \"```\" does not open a block"},
		"a block of another language": {"```console\n$ ls\n```\n", "1: blocks are of sh, text"},
		"an indented block":           {"- x\n  ```sh\n  ls\n  ```\n", "does not open a block"},
		"commands as text":            {"```text\n$ ls\n```\n", `2: "$ ls" looks like a command`},
		"commands as YAML":            {"```yaml\nkubectl get pods\n```\n", "looks like a command"},
		"indented commands":           {"x\n\n    pulumi up\n", `3: "    pulumi up" looks like a command`},
		"a reason without a block":    {"<!-- not run: x -->\n\n```sh\nls\n```\n", "is no block of commands"},
		"a reason for what is never run": {"<!-- not run: x -->\n```text\nls\n```\n",
			"a block of text is never run"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(test.text)
			assert.ErrorContains(t, err, test.says)
		})
	}
}

func TestCheckReasons(t *testing.T) {
	documents := []Document{{Name: "a.md", Blocks: []Block{{Line: 1}, {Line: 7, NotRun: "known"}}}}
	assert.NoError(t, CheckReasons(documents, []string{"known"}))
	assert.ErrorContains(t, CheckReasons(documents, nil), `a.md:7: "known" is none of the reasons`)
	assert.ErrorContains(t, CheckReasons(documents, []string{"known", "unused"}), `the reason "unused"`)
}
