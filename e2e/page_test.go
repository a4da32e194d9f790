package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
)

// Each action shows on the page, and is what the backend has.
func TestPageActions(t *testing.T) {
	p := openPage(t)
	p.Shows()
	p.Text("0 left", "#left")
	p.Write("Buy milk" + kb.Enter)
	p.Write("  Call Grandma ")
	p.Click("#add button")
	p.Write("Water the plants" + kb.Enter)
	p.Shows("- Water the plants", "- Call Grandma", "- Buy milk")
	p.Has("- Water the plants", "- Call Grandma", "- Buy milk")
	p.Becomes("", `document.querySelector("#title").value`)
	p.Text("3 left", "#left")

	p.Click(p.Row("Call Grandma") + " .check")
	p.Click(p.Row("Buy milk") + " .check")
	p.Shows("- Water the plants", "x Call Grandma", "x Buy milk")
	p.Has("- Water the plants", "x Call Grandma", "x Buy milk")
	p.Text("1 left", "#left")
	p.Text("Clear 2 completed", "#clear")
	p.Click(p.Row("Buy milk") + " .check")
	p.Has("- Water the plants", "x Call Grandma", "- Buy milk")

	p.Click(p.Row("Buy milk") + " .edit")
	p.Press(" and bread" + kb.Enter)
	p.Has("- Water the plants", "x Call Grandma", "- Buy milk and bread")
	p.Do(chromedp.DoubleClick(chromedp.CSS(p.Row("Call Grandma") + " .title")))
	p.Press(" on Sunday")
	p.Shows("- Water the plants", "e Call Grandma on Sunday", "- Buy milk and bread")
	p.Click(".editor button")
	p.Has("- Water the plants", "x Call Grandma on Sunday", "- Buy milk and bread")
	for _, end := range []func(){
		func() { p.Press(kb.Escape) },
		func() { p.Click(".cancel") },
	} {
		p.Click(p.Row("Water the plants") + " .edit")
		p.Press(" no more")
		p.Shows("e Water the plants no more", "x Call Grandma on Sunday", "- Buy milk and bread")
		end()
		p.Shows("- Water the plants", "x Call Grandma on Sunday", "- Buy milk and bread")
	}

	for _, view := range []struct {
		name, query string
		shown       []string
	}{
		{"Active", "?show=active", []string{"- Water the plants", "- Buy milk and bread"}},
		{"Completed", "?show=completed", []string{"x Call Grandma on Sunday"}},
		{"All", "", []string{"- Water the plants", "x Call Grandma on Sunday", "- Buy milk and bread"}},
	} {
		p.Click(fmt.Sprintf(`nav a[data-show=%q]`, strings.TrimPrefix(view.query, "?show=")))
		p.Shows(view.shown...)
		p.Becomes(p.URL+view.query, "location.href")
		p.Text(view.name, "nav a[aria-current=page]")
		p.Reload()
		p.Shows(view.shown...)
	}
	p.Do(chromedp.NavigateBack())
	p.Shows("x Call Grandma on Sunday")
	p.Click(p.Row("Call Grandma on Sunday") + " .check") // it belongs elsewhere now
	p.Shows()
	p.Has("- Water the plants", "- Call Grandma on Sunday", "- Buy milk and bread")
	p.Write("Sleep" + kb.Enter) // is not to be seen among the completed, so all are shown
	p.Shows("- Sleep", "- Water the plants", "- Call Grandma on Sunday", "- Buy milk and bread")
	p.Becomes(p.URL, "location.href")

	p.Click(p.Row("Water the plants") + " .delete")
	p.Shows("- Sleep", "- Call Grandma on Sunday", "- Buy milk and bread")
	p.Has("- Sleep", "- Call Grandma on Sunday", "- Buy milk and bread")
	p.Click(p.Row("Sleep") + " .check")
	p.Click(p.Row("Buy milk and bread") + " .check")
	p.Click("#clear button")
	p.Shows("- Call Grandma on Sunday")
	p.Has("- Call Grandma on Sunday")
	p.Text("1 left", "#left")
	p.Becomes(false, `document.querySelector("#clear").checkVisibility()`)
}

// waiting is how many rows of the page wait for the answer to their addition; nothing can be done to them
// yet.
const waiting = `document.querySelectorAll(".waiting").length`

// focused is the ID, or else the name, of the element with the focus.
const focused = `document.activeElement.id || document.activeElement.name`

func TestPageWithTheKeyboardAlone(t *testing.T) {
	p := openPage(t)
	p.Becomes("title", focused)
	for _, title := range []string{"a", "b", "c"} {
		p.Press(title + kb.Enter)
	}
	p.Has("- c", "- b", "- a")
	p.Becomes(0.0, waiting)
	tab := func(times int) { p.Press(strings.Repeat(kb.Tab, times)) }
	id := func(title string) string { return p.ID(title) }
	b, c := id("b"), id("c")

	tab(4) // Add, All, Active, Completed
	p.Becomes("completed", `document.activeElement.dataset.show`)
	tab(1)
	p.Becomes("title-"+c, `document.activeElement.getAttribute("aria-labelledby")`)
	p.Press(" ")
	p.Has("x c", "- b", "- a")
	p.Becomes("title-"+c, `document.activeElement.getAttribute("aria-labelledby")`)
	tab(1)
	p.Becomes("edit-"+c, focused)
	p.Press(kb.Enter)
	p.Becomes("title", focused)
	p.Press("d" + kb.Enter)
	p.Has("x cd", "- b", "- a")
	p.Becomes("edit-"+c, focused)
	p.Press(kb.Enter + "e" + kb.Escape)
	p.Shows("x cd", "- b", "- a")
	p.Becomes("edit-"+c, focused)
	tab(1)
	p.Becomes("delete-"+c, focused)
	p.Press(kb.Enter)
	p.Has("- b", "- a")
	p.Becomes("delete-"+b, focused) // the focus does not get lost
	p.Press(kb.Enter + kb.Enter)
	p.Has()
	p.Becomes("title", focused)
}

// A screen reader announces these.
func TestNamesAndRoles(t *testing.T) {
	p := openPage(t)
	p.Add("Buy milk", "Call Grandma")
	p.Change("Buy milk", `{"completed": true}`)
	p.Shows("- Call Grandma", "x Buy milk")
	assert.ElementsMatch(t, []string{
		"heading Todos", "textbox What is to be done?", "button Add", "alert ", "status ", "navigation Show",
		"link All", "link Active", "link Completed",
		"button Clear 1 completed", "list Todos",
		"checkbox Call Grandma", "link Edit Call Grandma", "button Delete Call Grandma",
		"checkbox Buy milk", "link Edit Buy milk", "button Delete Buy milk",
	}, p.Controls())
	p.Click(p.Row("Buy milk") + " .edit")
	assert.Subset(t, p.Controls(), []string{"textbox Todo", "button Save", "link Cancel"})
	p.Press(kb.Escape)
	p.Click(p.Row("Buy milk") + " .delete")
	p.Text("Deleted.", "#done")
}

func TestRefusedTitlesAreKept(t *testing.T) {
	p := openPage(t)
	p.Add("Buy milk")
	p.Shows("- Buy milk")
	long := strings.Repeat("x", 141)
	for _, test := range []struct{ title, reason string }{
		{"   ", "The title is empty."},
		{long, "The title has 141 characters; 140 are allowed."},
		{"a\u202Eb", "The title contains U+202E, which changes the direction of text."},
		// which only the backend knows
	} {
		p.Do(chromedp.SetValue(chromedp.CSS("#title"), test.title))
		p.Write(kb.Enter)
		p.Text(test.reason, "#title-error")
		p.Becomes(test.title, `document.querySelector("#title").value`)
		p.Becomes("true", `document.querySelector("#title").ariaInvalid`)
		p.Shows("- Buy milk")

		p.Click(p.Row("Buy milk") + " .edit")
		p.Do(chromedp.SetValue(chromedp.CSS(".editor input"), test.title))
		p.Press(kb.Enter)
		p.Text(test.reason, ".editor .error")
		p.Shows("e " + test.title)
		p.Press(kb.Escape)
		p.Shows("- Buy milk")
	}
	p.Has("- Buy milk")

	p.Do(chromedp.SetValue(chromedp.CSS("#title"), strings.Repeat("x", 119)))
	p.Text("", "#title-hint")
	p.Write("x")
	p.Text("20 left", "#title-hint")
	p.Write("🚂")
	p.Text("19 left", "#title-hint")
	p.Write(strings.Repeat("x", 20))
	p.Text("1 too many", "#title-hint")
	p.Write(kb.Backspace + kb.Enter)
	p.Has("- "+strings.Repeat("x", 120)+"🚂"+strings.Repeat("x", 19), "- Buy milk")
}
