package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/page"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
)

const away = "The todos cannot be reached right now. "

// Nothing that a visitor typed gets lost, and all is well again by itself.
func TestBackendAwayAndBack(t *testing.T) {
	c := newLane(t, project)
	p := page.Show(t)
	p.Add("Buy milk")
	p.Shows("- Buy milk")
	plain := p.OpenWindow()
	plain.Script(false)
	plain.Open("")
	p.AcceptDialogs()

	comeBack := stop(c, "todo-backend")
	p.Text(away+"Try again", "#away")
	p.Shows("- Buy milk")
	p.Write("Call Grandma" + kb.Enter)
	p.Shows("- Call Grandma", "- Buy milk")
	p.Text(away+"What you did is kept, and saved when they are back. Try again", "#away")
	p.Click(p.Row("Buy milk") + " .check")
	p.Shows("- Call Grandma", "x Buy milk")
	p.Write("Not sent yet")
	p.Reload() // asks whether to leave
	p.Shows("- Call Grandma")
	p.Text(away+"What you did is kept, and saved when they are back. Try again", "#away")
	p.Becomes(false, `document.querySelector("#left").checkVisibility()`)
	p.Check("away-and-loaded")
	p.Write("Not sent yet")

	plain.Write("Sleep")
	plain.Submit("#add button")
	plain.Becomes("Sleep", `document.querySelector("#title").value`)
	plain.Text("This could not be saved. Try again in a moment.", "#title-error")
	plain.Text(away+"Try again", "#away")
	plain.Script(true) // not for the page, which is loaded, but for axe
	plain.Check("away-without-script")
	plain.Script(false)

	comeBack()
	p.Shows("- Call Grandma", "x Buy milk")
	p.Has("- Call Grandma", "x Buy milk")
	p.Becomes(false, `document.querySelector("#away").checkVisibility()`)
	p.Text("1 left", "#left")
	p.Becomes("Not sent yet", `document.querySelector("#title").value`)
	plain.Submit("#add button")
	plain.Shows("- Sleep", "- Call Grandma", "x Buy milk")
}

// A request takes effect once, though its answer was lost.
func TestLostAnswers(t *testing.T) {
	p := openPage(t)
	lost := p.LoseAnswers("todos", 2)
	p.Write("Buy milk" + kb.Enter)
	p.Has("- Buy milk") // though the page does not know it
	page.Becomes(t, 3, func() int { return int(lost.Load()) })
	p.Shows("- Buy milk")
	p.Becomes(0.0, waiting)
	p.Write("Sleep" + kb.Enter)
	p.Has("- Sleep", "- Buy milk")
	p.Shows("- Sleep", "- Buy milk")
	page.Becomes(t, 4, func() int { return int(lost.Load()) }) // the list may know it before its answer has come
}

// The list that came when the counts did not is shown with the next counts.
func TestLostCounts(t *testing.T) {
	p := openPage(t)
	lost := p.LoseAnswers("todos/counts", 3)
	p.Add("Buy milk") // before the last is lost, seconds later
	p.Shows("- Buy milk")
	p.Text("1 left", "#left")
	assert.GreaterOrEqual(t, int(lost.Load()), 3)
}

// stop takes all pods of a Deployment away. The function that it returns brings them back.
func stop(c *kube.Cluster, deployment string) (comeBack func()) {
	before := c.Field("deployment", deployment, "{.spec.replicas}")
	c.Scale("deployment/"+deployment, "0")
	return func() {
		c.Scale("deployment/"+deployment, before)
		c.WaitUntilReady()
	}
}

func TestTwoWindows(t *testing.T) {
	p := openPage(t)
	other := p.OpenWindow()
	other.Open("")
	p.Write("Buy milk" + kb.Enter + "Call Grandma" + kb.Enter + "Sleep" + kb.Enter)
	other.Shows("- Sleep", "- Call Grandma", "- Buy milk")
	other.Click(other.Row("Buy milk") + " .check")
	p.Shows("- Sleep", "- Call Grandma", "x Buy milk")
	p.Text("2 left", "#left")
	p.Click(p.Row("Sleep") + " .delete")
	other.Shows("- Call Grandma", "x Buy milk")

	// Text that one window edits is not disturbed by changes of the other.
	other.Click(other.Row("Call Grandma") + " .edit")
	other.Press(" on Sunday")
	p.Click("#clear button")
	other.Shows("e Call Grandma on Sunday")
	p.Click(p.Row("Call Grandma") + " .check")
	other.Text("0 left", "#left")
	other.Press(kb.Enter)
	p.Shows("x Call Grandma on Sunday")
	p.Click(p.Row("Call Grandma on Sunday") + " .edit")
	p.Press(" evening")
	other.Click("#clear button")
	other.Has()
	other.Write("Sleep" + kb.Enter)
	p.Shows("e Call Grandma on Sunday evening", "- Sleep")
	p.Press(kb.Enter)
	p.Shows("- Sleep")
	p.Becomes("Call Grandma on Sunday evening", `document.querySelector("#title").value`)
	p.Text("That todo is gone: somebody deleted it.", "#title-error")
	p.Write(kb.Enter)
	other.Shows("- Call Grandma on Sunday evening", "- Sleep")
}

func TestTenThousandTodos(t *testing.T) {
	c := newLane(t, project)
	p := page.Show(t)
	const all = 10_000
	postgres.Query(c, fmt.Sprintf(
		"INSERT INTO todo (title, completed) SELECT 'Todo ' || n, false FROM generate_series(1, %d) n", all))
	p.Open("")
	const rows = `document.querySelectorAll("#todos > li").length`
	p.Text("10,000 left", "#left")
	for _, n := range []float64{100, 400, 700} {
		p.Becomes(n, rows)
		p.Click("#more")
	}
	p.Becomes(1000.0, rows)
	p.Submit("#more") // to another page
	p.Becomes(100.0, rows)
	p.Click("#more")
	p.Becomes(400.0, rows) // and what is below them moves no more
	first := `Number(document.querySelector("#todos > li").dataset.id)`
	newest := p.Todos()[0].ID
	p.Becomes(float64(newest-1000), first)
	p.Becomes(true, `[...document.querySelectorAll("#todos > li")].every((li, i) => Number(li.dataset.id) === `+
		first+` - i)`)
	p.Click("#newest")
	p.Becomes(float64(newest), first)

	// At the very end everything works as at the beginning.
	p.Open(fmt.Sprintf("?after=%d", newest-all+51))
	p.Becomes(50.0, rows)
	p.Becomes(false, `document.querySelector("#more").checkVisibility()`)
	const last = `[...document.querySelectorAll("#todos > li")].at(-1)`
	oldest := "#" + page.Value[string](p, last+`.id`)
	title := page.Value[string](p, last+`.querySelector(".title").textContent`)
	id := strings.TrimPrefix(oldest, "#todo-")
	p.Click(oldest + " .check")
	p.Text("9,999 left", "#left")
	page.Becomes(t, true, func() bool { return p.Get(id).Completed })
	p.Click(oldest + " .edit")
	p.Press(" at last" + kb.Enter)
	page.Becomes(t, title+" at last", func() string { return p.Get(id).Title })
	status, _ := p.Ask(http.MethodPatch, "todos/"+id, `{"title": "Changed elsewhere", "completed": false}`)
	require.Equal(t, http.StatusOK, status)
	p.Text("Changed elsewhere", oldest+" .title")
	p.Text("10,000 left", "#left")
	p.Click(oldest + " .delete")
	p.Becomes(49.0, rows)
	p.Text("9,999 left", "#left")
	p.Write("On top" + kb.Enter) // which is not on this page
	p.Becomes(100.0, rows)
	p.Becomes("On top", `document.querySelector("#todos .title").textContent`)
	p.Add("And another")
	p.Text("10,000+ left", "#left")
}
