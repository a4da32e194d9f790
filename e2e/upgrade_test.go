//go:build upgrade

package e2e

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnEarlierVersionsDataIsCarriedOver takes a stack of the revision UPGRADE_FROM to this one while
// visitors use it.
func TestAnEarlierVersionsDataIsCarriedOver(t *testing.T) {
	const lab = "upgrade"
	revision := os.Getenv("UPGRADE_FROM")
	require.NotEmpty(t, revision,
		"UPGRADE_FROM is not set: name a revision of this repository, as in make upgrade UPGRADE_FROM=HEAD~1")
	earlier, now := home{t, t.TempDir(), lab}, home{t, checkout, lab}
	run(t, command(checkout, "sh", "-ec", `git archive "$1" | tar --extract --directory "$2"`, "sh", revision,
		earlier.dir))
	t.Cleanup(func() { now.make("lab-delete") })
	earlier.make("up")

	site := earlier.site()
	visitors := earlier.use("visit")
	visitors.goOn()
	now.make("up")
	visitors.goOn()
	pings, todos := visitors.stop()
	pings.Outcomes, todos.Outcomes = withoutIngress(pings.Outcomes), withoutIngress(todos.Outcomes)
	t.Log(pings, todos)
	assert.NoError(t, pings.Check(0, site.pings()))
	assert.NoError(t, todos.Check(site.todosWith("visit")))
}
