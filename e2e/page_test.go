package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each action shows on the page, and is what the backend has.
func TestPageActions(t *testing.T) {
	p := openPage(t)
	p.shows()
	p.text("0 left", "#left")
	p.write("Buy milk" + kb.Enter)
	p.write("  Call Grandma ")
	p.click("#add button")
	p.write("Water the plants" + kb.Enter)
	p.shows("- Water the plants", "- Call Grandma", "- Buy milk")
	p.has("- Water the plants", "- Call Grandma", "- Buy milk")
	p.becomes("", `document.querySelector("#title").value`)
	p.text("3 left", "#left")

	p.click(p.row("Call Grandma") + " .check")
	p.click(p.row("Buy milk") + " .check")
	p.shows("- Water the plants", "x Call Grandma", "x Buy milk")
	p.has("- Water the plants", "x Call Grandma", "x Buy milk")
	p.text("1 left", "#left")
	p.text("Clear 2 completed", "#clear")
	p.click(p.row("Buy milk") + " .check")
	p.has("- Water the plants", "x Call Grandma", "- Buy milk")

	p.click(p.row("Buy milk") + " .edit")
	p.press(" and bread" + kb.Enter)
	p.has("- Water the plants", "x Call Grandma", "- Buy milk and bread")
	p.do(chromedp.DoubleClick(chromedp.CSS(p.row("Call Grandma") + " .title")))
	p.press(" on Sunday")
	p.shows("- Water the plants", "e Call Grandma on Sunday", "- Buy milk and bread")
	p.click(".editor button")
	p.has("- Water the plants", "x Call Grandma on Sunday", "- Buy milk and bread")
	for _, end := range []func(){
		func() { p.press(kb.Escape) },
		func() { p.click(".cancel") },
	} {
		p.click(p.row("Water the plants") + " .edit")
		p.press(" no more")
		p.shows("e Water the plants no more", "x Call Grandma on Sunday", "- Buy milk and bread")
		end()
		p.shows("- Water the plants", "x Call Grandma on Sunday", "- Buy milk and bread")
	}

	for _, view := range []struct {
		name, query string
		shown       []string
	}{
		{"Active", "?show=active", []string{"- Water the plants", "- Buy milk and bread"}},
		{"Completed", "?show=completed", []string{"x Call Grandma on Sunday"}},
		{"All", "", []string{"- Water the plants", "x Call Grandma on Sunday", "- Buy milk and bread"}},
	} {
		p.click(fmt.Sprintf(`nav a[data-show=%q]`, strings.TrimPrefix(view.query, "?show=")))
		p.shows(view.shown...)
		p.becomes(p.url+view.query, "location.href")
		p.text(view.name, "nav a[aria-current=page]")
		p.reload()
		p.shows(view.shown...)
	}
	p.do(chromedp.NavigateBack())
	p.shows("x Call Grandma on Sunday")
	p.click(p.row("Call Grandma on Sunday") + " .check") // it belongs elsewhere now
	p.shows()
	p.has("- Water the plants", "- Call Grandma on Sunday", "- Buy milk and bread")
	p.write("Sleep" + kb.Enter) // is not to be seen among the completed, so all are shown
	p.shows("- Sleep", "- Water the plants", "- Call Grandma on Sunday", "- Buy milk and bread")
	p.becomes(p.url, "location.href")

	p.click(p.row("Water the plants") + " .delete")
	p.shows("- Sleep", "- Call Grandma on Sunday", "- Buy milk and bread")
	p.has("- Sleep", "- Call Grandma on Sunday", "- Buy milk and bread")
	p.click(p.row("Sleep") + " .check")
	p.click(p.row("Buy milk and bread") + " .check")
	p.click("#clear button")
	p.shows("- Call Grandma on Sunday")
	p.has("- Call Grandma on Sunday")
	p.text("1 left", "#left")
	p.becomes(false, `document.querySelector("#clear").checkVisibility()`)
}

// What the script adds to the page is what the server would have sent.
func TestScriptAndServerRenderAlike(t *testing.T) {
	p := openPage(t)
	for _, title := range titles {
		p.add(title) // which the page then finds by itself
	}
	p.becomes(float64(len(titles)), `document.querySelectorAll("#todos > li").length`)
	const html = `[...document.querySelectorAll("#todos > li")].map((li) => {
		li.removeAttribute("class") // which makes new ones glide in
		for (const a of li.querySelectorAll("a")) a.setAttribute("href", a.href)
		for (const e of li.querySelectorAll("*")) {
			const all = [...e.attributes].map(({ name, value }) => [name, value]).sort()
			all.forEach(([name]) => e.removeAttribute(name))
			all.forEach(([name, value]) => e.setAttribute(name, value))
		}
		return li.outerHTML
	})`
	byScript := value[[]string](p, html)
	p.reload()
	assert.Equal(t, byScript, value[[]string](p, html))
}

// titles try to be more than text.
var titles = []string{
	`<script>document.title = "pwned"</script>`,
	`<img src=x onerror="document.title = 'pwned'">`,
	`"><svg onload=alert(1)>`,
	`</span></li></ul><h1>pwned</h1>`,
	`{{.Key}} ${document.title = "pwned"} %s <!-- -->`,
	`javascript:document.title="pwned"`,
	`http://example.com/"onmouseover="document.title='pwned'`,
	`https://example.com/'><script>document.title="pwned"</script>`,
	`data:text/html,<script>alert(1)</script>`,
	`&lt;b&gt; &amp;amp; &quot;`,
	`Read https://en.wikipedia.org/wiki/Go_(programming_language).`,
	`(see http://example.com/a_(b), HTTPS://EXAMPLE.COM/?a=1&b=2#c; and https://例え.jp/ä!)`,
	`https:// http://. xhttp://no.example ftp://no.example http://[::1]:8080/] http://a`,
	`“https://example.com/quoted” https://example.com/...? *https://example.com/bold*`,
	`שלום https://example.com/עברית`,
}

func TestTitlesAreTextAndLinks(t *testing.T) {
	p := openPage(t)
	for _, title := range titles {
		p.do(chromedp.SetValue(chromedp.CSS("#title"), title))
		p.write(kb.Enter)
	}
	links := map[string][]string{
		titles[6]:  {"http://example.com/"},
		titles[7]:  {"https://example.com/"},
		titles[10]: {"https://en.wikipedia.org/wiki/Go_(programming_language)"},
		titles[11]: {"http://example.com/a_(b)", "https://example.com/?a=1&b=2#c", "https://xn--r8jz45g.jp/%C3%A4"},
		titles[12]: {"http://[::1]:8080/", "http://a/"},
		titles[13]: {"https://example.com/quoted", "https://example.com/", "https://example.com/bold"},
		titles[14]: {"https://example.com/%D7%A2%D7%91%D7%A8%D7%99%D7%AA"},
	}
	check := func() {
		p.becomes(float64(len(titles)), `document.querySelectorAll("#todos > li").length`)
		for i, title := range titles {
			li := fmt.Sprintf(`document.querySelectorAll("#todos > li")[%d]`, len(titles)-1-i)
			p.becomes(title, li+`.querySelector(".title").textContent`)
			p.becomes(append([]string{}, links[title]...), `[...`+li+
				`.querySelectorAll(".title *")].map((a) => a.href)`)
		}
		p.becomes([]string{}, `[...document.querySelectorAll(".title *")].filter((a) =>
			a.tagName !== "A" || a.rel !== "noopener noreferrer" || !/^https?:$/.test(a.protocol)).map((a) => a.outerHTML)`)
		p.becomes("Todos", "document.title")
		p.becomes(float64(1), `document.querySelectorAll("h1").length`)
	}
	check()
	stored := []string{}
	for _, title := range slices.Backward(titles) {
		stored = append(stored, "- "+title)
	}
	p.has(stored...)
	p.reload()
	check()
	id := strings.TrimPrefix(p.path(titles[2]), "todos/")
	p.open("?edit=" + id)
	p.becomes(titles[2], `document.querySelector(".editor input").value`)
}

// waiting is how many rows the page shows whose additions are not answered yet; nothing can be done to them.
const waiting = `document.querySelectorAll(".waiting").length`

// focused is the ID or else the name of what has the focus.
const focused = `document.activeElement.id || document.activeElement.name`

func TestPageWithTheKeyboardAlone(t *testing.T) {
	p := openPage(t)
	p.becomes("title", focused)
	for _, title := range []string{"a", "b", "c"} {
		p.press(title + kb.Enter)
	}
	p.has("- c", "- b", "- a")
	p.becomes(0.0, waiting)
	tab := func(times int) { p.press(strings.Repeat(kb.Tab, times)) }
	id := func(title string) string { return strings.TrimPrefix(p.path(title), "todos/") }
	b, c := id("b"), id("c")

	tab(4) // Add, All, Active, Completed
	p.becomes("completed", `document.activeElement.dataset.show`)
	tab(1)
	p.becomes("title-"+c, `document.activeElement.getAttribute("aria-labelledby")`)
	p.press(" ")
	p.has("x c", "- b", "- a")
	p.becomes("title-"+c, `document.activeElement.getAttribute("aria-labelledby")`)
	tab(1)
	p.becomes("edit-"+c, focused)
	p.press(kb.Enter)
	p.becomes("title", focused)
	p.press("d" + kb.Enter)
	p.has("x cd", "- b", "- a")
	p.becomes("edit-"+c, focused)
	p.press(kb.Enter + "e" + kb.Escape)
	p.shows("x cd", "- b", "- a")
	p.becomes("edit-"+c, focused)
	tab(1)
	p.becomes("delete-"+c, focused)
	p.press(kb.Enter)
	p.has("- b", "- a")
	p.becomes("delete-"+b, focused) // the focus does not get lost
	p.press(kb.Enter + kb.Enter)
	p.has()
	p.becomes("title", focused)
}

// What a screen reader tells.
func TestNamesAndRoles(t *testing.T) {
	p := openPage(t)
	p.add("Buy milk", "Call Grandma")
	p.change("Buy milk", `{"completed": true}`)
	p.shows("- Call Grandma", "x Buy milk")
	assert.ElementsMatch(t, []string{
		"heading Todos", "textbox What is to be done?", "button Add", "alert ", "status ", "navigation Show",
		"link All", "link Active", "link Completed",
		"button Clear 1 completed", "list Todos",
		"checkbox Call Grandma", "link Edit Call Grandma", "button Delete Call Grandma",
		"checkbox Buy milk", "link Edit Buy milk", "button Delete Buy milk",
	}, p.controls())
	p.click(p.row("Buy milk") + " .edit")
	assert.Subset(t, p.controls(), []string{"textbox Todo", "button Save", "link Cancel"})
	p.press(kb.Escape)
	p.click(p.row("Buy milk") + " .delete")
	p.text("Deleted.", "#done")
}

func TestRefusedTitlesAreKept(t *testing.T) {
	p := openPage(t)
	p.add("Buy milk")
	p.shows("- Buy milk")
	long := strings.Repeat("x", 141)
	for _, test := range []struct{ title, reason string }{
		{"   ", "The title is empty."},
		{long, "The title has 141 characters; 140 are allowed."},
		{"a\u202Eb", "The title contains U+202E, which changes the direction of text."},
		// which only the backend knows
	} {
		p.do(chromedp.SetValue(chromedp.CSS("#title"), test.title))
		p.write(kb.Enter)
		p.text(test.reason, "#title-error")
		p.becomes(test.title, `document.querySelector("#title").value`)
		p.becomes("true", `document.querySelector("#title").ariaInvalid`)
		p.shows("- Buy milk")

		p.click(p.row("Buy milk") + " .edit")
		p.do(chromedp.SetValue(chromedp.CSS(".editor input"), test.title))
		p.press(kb.Enter)
		p.text(test.reason, ".editor .error")
		p.shows("e " + test.title)
		p.press(kb.Escape)
		p.shows("- Buy milk")
	}
	p.has("- Buy milk")

	p.do(chromedp.SetValue(chromedp.CSS("#title"), strings.Repeat("x", 119)))
	p.text("", "#title-hint")
	p.write("x")
	p.text("20 left", "#title-hint")
	p.write("🚂")
	p.text("19 left", "#title-hint")
	p.write(strings.Repeat("x", 20))
	p.text("1 too many", "#title-hint")
	p.write(kb.Backspace + kb.Enter)
	p.has("- "+strings.Repeat("x", 120)+"🚂"+strings.Repeat("x", 19), "- Buy milk")
}

func TestTwoWindows(t *testing.T) {
	p := openPage(t)
	other := openWindow(t, p.chromium)
	other.open("")
	p.write("Buy milk" + kb.Enter + "Call Grandma" + kb.Enter + "Sleep" + kb.Enter)
	other.shows("- Sleep", "- Call Grandma", "- Buy milk")
	other.click(other.row("Buy milk") + " .check")
	p.shows("- Sleep", "- Call Grandma", "x Buy milk")
	p.text("2 left", "#left")
	p.click(p.row("Sleep") + " .delete")
	other.shows("- Call Grandma", "x Buy milk")

	// What one writes is not disturbed by what the other does.
	other.click(other.row("Call Grandma") + " .edit")
	other.press(" on Sunday")
	p.click("#clear button")
	other.shows("e Call Grandma on Sunday")
	p.click(p.row("Call Grandma") + " .check")
	other.text("0 left", "#left")
	other.press(kb.Enter)
	p.shows("x Call Grandma on Sunday")
	p.click(p.row("Call Grandma on Sunday") + " .edit")
	p.press(" evening")
	other.click("#clear button")
	other.has()
	other.write("Sleep" + kb.Enter)
	p.shows("e Call Grandma on Sunday evening", "- Sleep")
	p.press(kb.Enter)
	p.shows("- Sleep")
	p.becomes("Call Grandma on Sunday evening", `document.querySelector("#title").value`)
	p.text("That todo is gone: somebody deleted it.", "#title-error")
	p.write(kb.Enter)
	other.shows("- Call Grandma on Sunday evening", "- Sleep")
}

func TestTenThousandTodos(t *testing.T) {
	c := newLane(t, project)
	p := showPage(t)
	const all = 10_000
	c.psql(fmt.Sprintf("INSERT INTO todo (title, completed) SELECT 'Todo ' || n, false FROM generate_series(1, %d) n", all))
	p.open("")
	const rows = `document.querySelectorAll("#todos > li").length`
	p.text("10,000 left", "#left")
	for _, n := range []float64{100, 400, 700} {
		p.becomes(n, rows)
		p.click("#more")
	}
	p.becomes(1000.0, rows)
	p.submit("#more") // to another page
	p.becomes(100.0, rows)
	p.click("#more")
	p.becomes(400.0, rows) // and what is below them moves no more
	first := `Number(document.querySelector("#todos > li").dataset.id)`
	newest := p.todos()[0].ID
	p.becomes(float64(newest-1000), first)
	p.becomes(true, `[...document.querySelectorAll("#todos > li")].every((li, i) => Number(li.dataset.id) === `+
		first+` - i)`)
	p.click("#newest")
	p.becomes(float64(newest), first)

	// At the very end everything works as at the beginning.
	p.open(fmt.Sprintf("?after=%d", newest-all+51))
	p.becomes(50.0, rows)
	p.becomes(false, `document.querySelector("#more").checkVisibility()`)
	const last = `[...document.querySelectorAll("#todos > li")].at(-1)`
	oldest := "#" + value[string](p, last+`.id`)
	title := value[string](p, last+`.querySelector(".title").textContent`)
	id := strings.TrimPrefix(oldest, "#todo-")
	p.click(oldest + " .check")
	p.text("9,999 left", "#left")
	becomes(t, true, func() bool { return p.get(id).Completed })
	p.click(oldest + " .edit")
	p.press(" at last" + kb.Enter)
	becomes(t, title+" at last", func() string { return p.get(id).Title })
	status, _ := p.ask(http.MethodPatch, "todos/"+id, `{"title": "Changed elsewhere", "completed": false}`)
	require.Equal(t, http.StatusOK, status)
	p.text("Changed elsewhere", oldest+" .title")
	p.text("10,000 left", "#left")
	p.click(oldest + " .delete")
	p.becomes(49.0, rows)
	p.text("9,999 left", "#left")
	p.write("On top" + kb.Enter) // which is not on this page
	p.becomes(100.0, rows)
	p.becomes("On top", `document.querySelector("#todos .title").textContent`)
	p.add("And another")
	p.text("10,000+ left", "#left")
}
