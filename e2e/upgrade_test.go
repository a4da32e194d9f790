//go:build upgrade

package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/home"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
)

// TestAnEarlierVersionsDataIsCarriedOver takes a stack of each of the revisions UPGRADE_FROM to this one
// while visitors use it.
func TestAnEarlierVersionsDataIsCarriedOver(t *testing.T) {
	revisions := strings.Fields(os.Getenv("UPGRADE_FROM"))
	require.NotEmpty(t, revisions,
		"UPGRADE_FROM is not set: name revisions of this repository, as in make upgrade UPGRADE_FROM=HEAD~1")
	for _, revision := range revisions {
		t.Run(revision, func(t *testing.T) { dataIsCarriedOver(t, revision) })
	}
}

func dataIsCarriedOver(t *testing.T, revision string) {
	now := home.Home{T: t, Dir: lab.Checkout, Lab: "upgrade"}
	earlier := home.Home{T: t, Dir: t.TempDir(), Lab: now.Lab}
	proc.Run(t, proc.Command(lab.Checkout, "sh", "-ec", `git archive "$1" | tar --extract --directory "$2"`,
		"sh", revision, earlier.Dir))
	t.Cleanup(func() { now.Make("lab-delete") })
	earlier.Make("up")

	site := earlier.Site()
	visitors := site.Visit("visit")
	visitors.WaitUntilGoingOn()
	now.Make("up")
	visitors.WaitUntilGoingOn()
	pings, todos := visitors.Stop()
	pings.Outcomes, todos.Outcomes = traffic.WithoutIngress(pings.Outcomes),
		traffic.WithoutIngress(todos.Outcomes)
	t.Log(pings, todos)
	assert.NoError(t, pings.Check(0, site.Pings()))
	assert.NoError(t, todos.Check(site.TodosWith("visit")))
}
