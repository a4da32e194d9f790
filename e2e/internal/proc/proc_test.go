package proc

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStartAndKillLeavesNothing(t *testing.T) {
	const mark = "86399.25"
	sleeping := func() []int {
		return Find(func(dir string) bool {
			return strings.HasPrefix(Read(dir, "cmdline"), "sleep\x00"+mark)
		})
	}
	// With job control, bash gives each of its jobs a process group of its own.
	KillWhen(t, Command(".", "bash", "-c", "set -m; sleep "+mark+" & sleep "+mark+" & wait"), func() bool {
		return len(sleeping()) == 2
	})
	assert.Empty(t, sleeping())
}
