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
	const plants = "Water the plants, also the one in the bathroom that everybody forgets " +
		"until its leaves hang down"
	p := openPage(t)
	p.Check("empty")
	p.Add("Buy oat milk and bread", "Call Grandma",
		"Read https://en.wikipedia.org/wiki/Go_(programming_language)", "לקנות חלב",
		strings.Repeat("x", 140), plants, "Repair the bicycle")
	p.Change("Call Grandma", `{"completed": true}`)
	p.Change("Repair the bicycle", `{"completed": true}`)
	p.Open("")
	p.Check("todos")
	p.Click(p.Row("Call Grandma") + " .edit")
	p.Check("editing")
	p.Do(chromedp.SetValue(chromedp.CSS(".editor input"), strings.Repeat("too long ", 20)))
	p.Press(kb.Enter)
	p.Text("The title has 179 characters; 140 are allowed.", ".editor .error")
	p.Write(strings.Repeat("too long ", 20) + kb.Enter)
	p.Text("The title has 179 characters; 140 are allowed.", "#title-error")
	p.Check("refused")

	p.Open("?show=active")
	p.Check("active")
	p.Open("?show=completed")
	p.Check("completed")
	p.Click("#clear button")
	p.Text("Nothing is done yet. One at a time.", ".empty[data-show=completed]")
	p.Check("nothing-completed")

	p.Open("")
	p.Cut(true)
	p.Write("Written while the todos are away" + kb.Enter)
	p.Text(away+"What you did is kept, and saved when they are back. Try again", "#away")
	p.Check("away")
	p.Click("nav a[data-show=active]")
	p.Becomes("true", `document.querySelector("main").ariaBusy`)
	p.Check("loading")
	p.Cut(false)
	p.Shows("- Written while the todos are away",
		"- "+plants,
		"- "+strings.Repeat("x", 140), "- לקנות חלב",
		"- Read https://en.wikipedia.org/wiki/Go_(programming_language)", "- Buy oat milk and bread")
	p.Becomes(false, `document.querySelector("#away").checkVisibility()`)
	for _, todo := range p.Todos() {
		p.Change(todo.Title, `{"completed": true}`)
	}
	p.Text("All done. Well done.", ".empty[data-show=active]")
	p.Check("nothing-active")

	for i := range 101 {
		p.Add(fmt.Sprint("Todo ", i))
	}
	p.Open("?after=" + p.ID("Todo 100"))
	p.Becomes(true, `document.querySelector("#more").checkVisibility() &&
		document.querySelector("#newest").checkVisibility()`)
	p.Check("further-on")
	p.Script(false)
	p.Open("?edit=" + p.ID("Todo 99"))
	p.Click(p.Row("Todo 98") + " .check")
	p.Script(true) // not for the page, which is loaded, but for axe
	p.Check("without-script")
}

// Links and forms alone do everything that the page does.
func TestPageWithoutScript(t *testing.T) {
	p := openPage(t)
	p.Script(false)
	p.Reload()
	for _, title := range []string{"Buy milk", "Call Grandma", "Sleep"} {
		p.Write(title)
		p.Submit("#add button")
	}
	p.Shows("- Sleep", "- Call Grandma", "- Buy milk")
	p.Text("3 left", "#left")
	p.Becomes(p.URL, "location.href")
	p.Reload() // which sends no form again
	p.Shows("- Sleep", "- Call Grandma", "- Buy milk")

	row := p.Row("Call Grandma")
	p.Becomes(false, fmt.Sprintf(`document.querySelector("%s .save").checkVisibility()`, row))
	p.Click(row + " .check")
	p.Submit(row + " .save")
	p.Has("- Sleep", "x Call Grandma", "- Buy milk")
	p.Shows("- Sleep", "x Call Grandma", "- Buy milk")
	p.Click(row + " .check")
	p.Submit(row + " .save")
	p.Has("- Sleep", "- Call Grandma", "- Buy milk")
	p.Click(row + " .check")
	p.Submit(row + " .save")

	p.Submit(p.Row("Buy milk") + " .edit")
	p.Becomes("Buy milk", `document.querySelector(".editor input").value`)
	p.Do(chromedp.SetValue(chromedp.CSS(".editor input"), "Buy milk and bread"))
	p.Submit(".editor button")
	p.Has("- Sleep", "x Call Grandma", "- Buy milk and bread")
	p.Submit(p.Row("Sleep") + " .edit")
	p.Submit(".cancel")
	p.Shows("- Sleep", "x Call Grandma", "- Buy milk and bread")

	for name, shown := range map[string][]string{
		"active":    {"- Sleep", "- Buy milk and bread"},
		"completed": {"x Call Grandma"},
	} {
		p.Submit(fmt.Sprintf("nav a[data-show=%s]", name))
		p.Shows(shown...)
		p.Becomes(p.URL+"?show="+name, "location.href")
	}
	p.Open("?show=active")
	p.Submit(p.Row("Sleep") + " .delete")
	p.Shows("- Buy milk and bread")
	p.Becomes(p.URL+"?show=active", "location.href")
	p.Submit("#clear button")
	p.Has("- Buy milk and bread")

	long := strings.Repeat("long ", 29)
	p.Write(long)
	p.Submit("#add button")
	p.Text("The title has 144 characters; 140 are allowed.", "#title-error")
	p.Becomes(long, `document.querySelector("#title").value`)
	p.Shows("- Buy milk and bread")
	p.Do(chromedp.SetValue(chromedp.CSS("#title"), "Short"))
	p.Submit("#add button")
	p.Has("- Short", "- Buy milk and bread")
	p.Submit(p.Row("Short") + " .edit")
	p.Do(chromedp.SetValue(chromedp.CSS(".editor input"), " "))
	p.Submit(".editor button")
	p.Text("The title is empty.", ".editor .error")
	p.Shows("e  ", "- Buy milk and bread")
}

func TestPagesWithoutScript(t *testing.T) {
	p := openPage(t)
	for i := range 130 {
		p.Add(fmt.Sprint(i))
	}
	p.Script(false)
	p.Open("")
	p.Becomes(100.0, `document.querySelectorAll("#todos > li").length`)
	p.Submit("#more")
	p.Becomes(30.0, `document.querySelectorAll("#todos > li").length`)
	p.Becomes("29", `document.querySelector(".title").textContent`)
	p.Becomes(false, `document.querySelector("#more").checkVisibility()`)
	row := p.Row("7")
	p.Click(row + " .check")
	p.Submit(row + " .save")
	p.Becomes("7", `document.querySelector(":checked").closest("li").querySelector(".title").textContent`)
	p.Becomes(30.0, `document.querySelectorAll("#todos > li").length`)
	p.Submit("#newest")
	p.Becomes("129", `document.querySelector(".title").textContent`)
	assert.Empty(t, p.Faults())
}
