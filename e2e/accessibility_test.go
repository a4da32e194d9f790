package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
)

// In every state, light and dark, wide and narrow, axe-core finds nothing that keeps people from using the
// page. A picture of each is kept.
func TestEveryStateIsAccessible(t *testing.T) {
	p := openPage(t)
	p.check("empty")
	p.add("Buy oat milk and bread", "Call Grandma",
		"Read https://en.wikipedia.org/wiki/Go_(programming_language)", "לקנות חלב",
		strings.Repeat("x", 140), "Water the plants, also the one in the bathroom that everybody forgets until its leaves hang down", "Repair the bicycle")
	p.change("Call Grandma", `{"completed": true}`)
	p.change("Repair the bicycle", `{"completed": true}`)
	p.open("")
	p.check("todos")
	p.click(p.row("Call Grandma") + " .edit")
	p.check("editing")
	p.do(chromedp.SetValue(chromedp.CSS(".editor input"), strings.Repeat("too long ", 20)))
	p.press(kb.Enter)
	p.text("The title has 179 characters; 140 are allowed.", ".editor .error")
	p.write(strings.Repeat("too long ", 20) + kb.Enter)
	p.text("The title has 179 characters; 140 are allowed.", "#title-error")
	p.check("refused")

	p.open("?show=active")
	p.check("active")
	p.open("?show=completed")
	p.check("completed")
	p.click("#clear button")
	p.text("Nothing is done yet. One at a time.", ".empty[data-show=completed]")
	p.check("nothing-completed")

	p.open("")
	p.cut(true)
	p.write("Written while the todos are away" + kb.Enter)
	p.text("The todos cannot be reached right now. What you did is kept, and saved when they are back. Try again", "#away")
	p.check("away")
	p.click("nav a[data-show=active]")
	p.becomes("true", `document.querySelector("main").ariaBusy`)
	p.check("loading")
	p.cut(false)
	p.shows("- Written while the todos are away",
		"- Water the plants, also the one in the bathroom that everybody forgets until its leaves hang down",
		"- "+strings.Repeat("x", 140), "- לקנות חלב",
		"- Read https://en.wikipedia.org/wiki/Go_(programming_language)", "- Buy oat milk and bread")
	p.becomes(false, `document.querySelector("#away").checkVisibility()`)
	for _, todo := range p.todos() {
		p.change(todo.Title, `{"completed": true}`)
	}
	p.text("All done. Well done.", ".empty[data-show=active]")
	p.check("nothing-active")

	for i := range 101 {
		p.add(fmt.Sprint("Todo ", i))
	}
	p.open("?after=" + strings.TrimPrefix(p.path("Todo 100"), "todos/"))
	p.becomes(true, `document.querySelector("#more").checkVisibility() && document.querySelector("#newest").checkVisibility()`)
	p.check("further-on")
	p.script(false)
	p.open("?edit=" + strings.TrimPrefix(p.path("Todo 99"), "todos/"))
	p.click(p.row("Todo 98") + " .check")
	p.script(true) // not for the page, which is loaded, but for axe
	p.check("without-script")
}

// check looks at a state with axe-core and takes its pictures.
func (p *page) check(state string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](axeScript(p.t)))
	for _, width := range []int64{1000, 320} {
		for _, scheme := range []string{"light", "dark"} {
			p.media("prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce")
			p.do(chromedp.EmulateViewport(width, 900))
			value[bool](p, `document.getAnimations().every((animation) => { animation.finish(); return true })`) // colours are the final ones
			name := fmt.Sprintf("%s-%s-%d", state, scheme, width)
			violations := value[[]string](p,
				`axe.run({ exclude: ["#todos > li:nth-child(n + 10)"] }, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then(
				({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map((node) => id + ": " + node.target + " " + node.failureSummary)))`)
			assert.Empty(p.t, violations, name)
			assert.LessOrEqual(p.t, value[float64](p, `document.documentElement.scrollWidth`), float64(width),
				"%s: it is to be read without scrolling sideways", name)
			p.picture(name)
		}
	}
	p.media()
	p.do(chromedp.EmulateViewport(1000, 900))
}
