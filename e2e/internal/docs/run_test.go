package docs

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRun(t *testing.T) {
	run := func(blocks ...Block) error {
		return Document{"a.md", blocks}.Run(t.Context(), t.TempDir(), "mine")
	}
	shows := func(commands, output string) Block {
		return Block{Line: 7, Commands: commands, Output: output, ShowsOutput: true}
	}
	t.Setenv("MAKELEVEL", "1")
	assert.NoError(t, run(shows("echo ${MAKELEVEL-none}\n", "none")))
	assert.NoError(t, run())
	assert.NoError(t, run(
		shows("x=1\necho \"$LAB\"\n", "mine"),
		Block{Commands: "exit 1", NotRun: "a reason"},
		Block{Commands: "sleep 1000 &\n"}, // processes that a document leaves running are ended
		shows("echo $x\necho 2 >&2\n", "1\n2\n"),
		shows("echo . .lab/env /var/lib/stateful-k3s/dev/log\n", ". .lab/env /var/lib/stateful-k3s/dev/log"),
	))
	assert.ErrorContains(t, run(shows("echo a\n", "a"), shows("echo 1\n", "2"), shows("echo b\n", "b")),
		`a.md:7: expected "2"`)
	assert.ErrorContains(t, run(shows("echo broken\nfalse\n", ""), shows("echo b\n", "b")),
		"a.md:7: exit status 1, and it printed\nbroken")
	assert.ErrorContains(t, run(Block{Line: 3, Commands: "false | true\n"}), "a.md:3: exit status 1")
	assert.ErrorContains(t, run(Block{Commands: "echo $unknown\n"}), "unbound variable")
	assert.Equal(t, "cd /var/lib/stateful-k3s/mine/log && . .lab/mine/env",
		onLab("cd /var/lib/stateful-k3s/dev/log && . .lab/env", "mine"))
}
