package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/page"
)

// attack is a page of another origin that asks for what a browser lets it ask, on the todo with an ID.
const attack = `<!doctype html><script>
const todos = %q, id = %q
const ask = (path, options) => fetch(todos + path, options).then((r) => r.type, () => "failed")
const results = (async () => {
	const simple = { method: "POST", mode: "no-cors" }, text = '{"title": "forged"}'
	const forms = ["form/add", "form/complete/" + id, "form/edit/" + id, "form/delete/" + id, "form/clear"]
	for (const path of forms) {
		await ask(path, { ...simple, body: new URLSearchParams({ title: "forged", completed: "true" }) })
	}
	await ask("todos", { ...simple, body: text })
	const blob = new Blob([text], { type: "text/plain" })
	await ask("todos", { ...simple, body: blob, referrerPolicy: "no-referrer" })
	navigator.sendBeacon(todos + "todos", text)
	const readable = []
	for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
		readable.push(await ask(method === "POST" ? "todos" : "todos/" + id,
			{ method, body: text, headers: { "Content-Type": "application/json" } }))
	}
	for (const path of ["", "todos", "todos/counts"]) readable.push(await ask(path, {}))
	return readable
})()
</script>`

func TestAnotherOriginChangesAndReadsNothing(t *testing.T) {
	p := openPage(t)
	p.Add("Buy milk")
	p.Change("Buy milk", `{"completed": true}`)
	visitor := p.OpenBystander()
	answers := visitor.Answers()
	visitor.Visit(fmt.Sprintf(attack, p.URL, p.ID("Buy milk")))
	assert.Equal(t, slices.Repeat([]string{"failed"}, 7), page.Value[[]string](visitor, "results"))
	page.Becomes(t, 8, func() int { return answers()["POST 403"] }) // everything that needs no permission
	for answer := range answers() {
		assert.NotRegexp(t, `^(POST|PUT|PATCH|DELETE) [^4]`, answer)
	}
	p.Has("x Buy milk")
}

func TestFormsOfAnotherOriginChangeNothing(t *testing.T) {
	p := openPage(t)
	p.Add("Buy milk")
	p.Change("Buy milk", `{"completed": true}`)
	id := p.ID("Buy milk")
	visitor := p.OpenBystander()
	const urlencoded = "application/x-www-form-urlencoded"
	for _, form := range []struct{ path, enctype, name, value string }{
		{"form/add", urlencoded, "title", "forged"},
		{"form/complete/" + id, urlencoded, "completed", ""},
		{"form/edit/" + id, urlencoded, "title", "forged"},
		{"form/delete/" + id, urlencoded, "", ""},
		{"form/clear", urlencoded, "", ""},
		{"todos", "text/plain", `{"title": "forged", "x": "`, `"}`},
	} {
		visitor.Visit(fmt.Sprintf(`<form method="post" action="%s" enctype="%s">
			<input name='%s' value='%s'><button>Win</button></form>`,
			p.URL+form.path, form.enctype, form.name, form.value))
		visitor.Submit("button")
		visitor.Becomes(true, `document.body.innerText.includes("page of another site asked for this")`)
	}
	p.Has("x Buy milk")
}

// A page without an origin of its own is another origin too.
func TestSandboxedPageChangesNothing(t *testing.T) {
	p := openPage(t)
	p.Add("Buy milk")
	visitor := p.OpenBystander()
	answers := visitor.Answers()
	visitor.Do(chromedp.Navigate(`data:text/html,<form method=post action="` + p.URL +
		`form/clear"><button>Win</button></form>`))
	visitor.Submit("button")
	visitor.Becomes(true, `document.body.innerText.includes("page of another site asked for this")`)
	page.Becomes(t, 1, func() int { return answers()["POST 403"] })
	p.Has("- Buy milk")
}

func TestNobodyFramesThePage(t *testing.T) {
	p := openPage(t)
	visitor := p.OpenBystander()
	visitor.Visit(`<iframe src="` + p.URL + `"></iframe>`)
	page.Becomes(t, true, func() bool { // the browser complains in its own time
		return strings.Contains(strings.Join(visitor.Faults(), "\n"), "frame-ancestors 'none'")
	})
}

// The script adds to the page what the server would have sent.
func TestScriptAndServerRenderAlike(t *testing.T) {
	p := openPage(t)
	for _, title := range titles {
		p.Add(title) // which the page then finds by itself
	}
	p.Becomes(float64(len(titles)), `document.querySelectorAll("#todos > li").length`)
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
	byScript := page.Value[[]string](p, html)
	p.Reload()
	assert.Equal(t, byScript, page.Value[[]string](p, html))
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
		p.Do(chromedp.SetValue(chromedp.CSS("#title"), title))
		p.Write(kb.Enter)
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
		p.Becomes(float64(len(titles)), `document.querySelectorAll("#todos > li").length`)
		for i, title := range titles {
			li := fmt.Sprintf(`document.querySelectorAll("#todos > li")[%d]`, len(titles)-1-i)
			p.Becomes(title, li+`.querySelector(".title").textContent`)
			p.Becomes(append([]string{}, links[title]...), `[...`+li+
				`.querySelectorAll(".title *")].map((a) => a.href)`)
		}
		p.Becomes([]string{}, `[...document.querySelectorAll(".title *")].filter((a) =>
			a.tagName !== "A" || a.rel !== "noopener noreferrer" || !/^https?:$/.test(a.protocol)).map(
			(a) => a.outerHTML)`)
		p.Becomes("Todos", "document.title")
		p.Becomes(float64(1), `document.querySelectorAll("h1").length`)
	}
	check()
	stored := []string{}
	for _, title := range slices.Backward(titles) {
		stored = append(stored, "- "+title)
	}
	p.Has(stored...)
	p.Reload()
	check()
	id := p.ID(titles[2])
	p.Open("?edit=" + id)
	p.Becomes(titles[2], `document.querySelector(".editor input").value`)
}
