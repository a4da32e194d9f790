package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
)

// The page does all it does by links and forms alone.
func TestPageWithoutScript(t *testing.T) {
	p := openPage(t)
	p.script(false)
	p.reload()
	for _, title := range []string{"Buy milk", "Call Grandma", "Sleep"} {
		p.write(title)
		p.submit("#add button")
	}
	p.shows("- Sleep", "- Call Grandma", "- Buy milk")
	p.text("3 left", "#left")
	p.becomes(p.url, "location.href")
	p.reload() // which sends no form again
	p.shows("- Sleep", "- Call Grandma", "- Buy milk")

	row := p.row("Call Grandma")
	p.becomes(false, fmt.Sprintf(`document.querySelector("%s .save").checkVisibility()`, row))
	p.click(row + " .check")
	p.submit(row + " .save")
	p.has("- Sleep", "x Call Grandma", "- Buy milk")
	p.shows("- Sleep", "x Call Grandma", "- Buy milk")
	p.click(row + " .check")
	p.submit(row + " .save")
	p.has("- Sleep", "- Call Grandma", "- Buy milk")
	p.click(row + " .check")
	p.submit(row + " .save")

	p.submit(p.row("Buy milk") + " .edit")
	p.becomes("Buy milk", `document.querySelector(".editor input").value`)
	p.do(chromedp.SetValue(chromedp.CSS(".editor input"), "Buy milk and bread"))
	p.submit(".editor button")
	p.has("- Sleep", "x Call Grandma", "- Buy milk and bread")
	p.submit(p.row("Sleep") + " .edit")
	p.submit(".cancel")
	p.shows("- Sleep", "x Call Grandma", "- Buy milk and bread")

	for name, shown := range map[string][]string{
		"active":    {"- Sleep", "- Buy milk and bread"},
		"completed": {"x Call Grandma"},
	} {
		p.submit(fmt.Sprintf("nav a[data-show=%s]", name))
		p.shows(shown...)
		p.becomes(p.url+"?show="+name, "location.href")
	}
	p.open("?show=active")
	p.submit(p.row("Sleep") + " .delete")
	p.shows("- Buy milk and bread")
	p.becomes(p.url+"?show=active", "location.href")
	p.submit("#clear button")
	p.has("- Buy milk and bread")

	long := strings.Repeat("long ", 29)
	p.write(long)
	p.submit("#add button")
	p.text("The title has 144 characters; 140 are allowed.", "#title-error")
	p.becomes(long, `document.querySelector("#title").value`)
	p.shows("- Buy milk and bread")
	p.do(chromedp.SetValue(chromedp.CSS("#title"), "Short"))
	p.submit("#add button")
	p.has("- Short", "- Buy milk and bread")
	p.submit(p.row("Short") + " .edit")
	p.do(chromedp.SetValue(chromedp.CSS(".editor input"), " "))
	p.submit(".editor button")
	p.text("The title is empty.", ".editor .error")
	p.shows("e  ", "- Buy milk and bread")
}

func TestPagesWithoutScript(t *testing.T) {
	p := openPage(t)
	for i := range 130 {
		p.add(fmt.Sprint(i))
	}
	p.script(false)
	p.open("")
	p.becomes(100.0, `document.querySelectorAll("#todos > li").length`)
	p.submit("#more")
	p.becomes(30.0, `document.querySelectorAll("#todos > li").length`)
	p.becomes("29", `document.querySelector(".title").textContent`)
	p.becomes(false, `document.querySelector("#more").checkVisibility()`)
	row := p.row("7")
	p.click(row + " .check")
	p.submit(row + " .save")
	p.becomes("7", `document.querySelector(":checked").closest("li").querySelector(".title").textContent`)
	p.becomes(30.0, `document.querySelectorAll("#todos > li").length`)
	p.submit("#newest")
	p.becomes("129", `document.querySelector(".title").textContent`)
	assert.Empty(t, p.Complaints())
}
