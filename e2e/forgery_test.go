package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attack is a page of another origin that asks for what a browser lets it ask, on the todo with an ID.
const attack = `<!doctype html><script>
const todos = %q, id = %q
const ask = (path, options) => fetch(todos + path, options).then((r) => r.type, () => "failed")
const results = (async () => {
	const simple = { method: "POST", mode: "no-cors" }, text = '{"title": "forged"}'
	for (const path of ["form/add", "form/complete/" + id, "form/edit/" + id, "form/delete/" + id, "form/clear"]) {
		await ask(path, { ...simple, body: new URLSearchParams({ title: "forged", completed: "true" }) })
	}
	await ask("todos", { ...simple, body: text })
	await ask("todos", { ...simple, body: new Blob([text], { type: "text/plain" }), referrerPolicy: "no-referrer" })
	navigator.sendBeacon(todos + "todos", text)
	const readable = []
	for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
		readable.push(await ask(method === "POST" ? "todos" : "todos/" + id, { method, body: text, headers: { "Content-Type": "application/json" } }))
	}
	for (const path of ["", "todos", "todos/counts"]) readable.push(await ask(path, {}))
	return readable
})()
</script>`

func TestAnotherOriginChangesAndReadsNothing(t *testing.T) {
	p := openPage(t)
	p.add("Buy milk")
	p.change("Buy milk", `{"completed": true}`)
	visitor := openBystander(t, p)
	answers := visitor.answers()
	visitor.visit(fmt.Sprintf(attack, p.url, strings.TrimPrefix(p.path("Buy milk"), "todos/")))
	assert.Equal(t, slices.Repeat([]string{"failed"}, 7), value[[]string](visitor, "results"))
	becomes(t, 8, func() int { return answers()["POST 403"] }) // all that needs no permission
	for answer := range answers() {
		assert.NotRegexp(t, `^(POST|PUT|PATCH|DELETE) [^4]`, answer)
	}
	p.has("x Buy milk")
}

func TestFormsOfAnotherOriginChangeNothing(t *testing.T) {
	p := openPage(t)
	p.add("Buy milk")
	p.change("Buy milk", `{"completed": true}`)
	id := strings.TrimPrefix(p.path("Buy milk"), "todos/")
	visitor := openBystander(t, p)
	const urlencoded = "application/x-www-form-urlencoded"
	for _, form := range []struct{ path, enctype, name, value string }{
		{"form/add", urlencoded, "title", "forged"},
		{"form/complete/" + id, urlencoded, "completed", ""},
		{"form/edit/" + id, urlencoded, "title", "forged"},
		{"form/delete/" + id, urlencoded, "", ""},
		{"form/clear", urlencoded, "", ""},
		{"todos", "text/plain", `{"title": "forged", "x": "`, `"}`},
	} {
		visitor.visit(fmt.Sprintf(`<form method="post" action="%s" enctype="%s"><input name='%s' value='%s'><button>Win</button></form>`,
			p.url+form.path, form.enctype, form.name, form.value))
		visitor.submit("button")
		visitor.becomes(true, `document.body.innerText.includes("page of another site asked for this")`)
	}
	p.has("x Buy milk")
}

// visit goes to a page of another origin.
func (p *page) visit(html string) {
	p.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, html)
	}))
	p.t.Cleanup(server.Close)
	p.do(chromedp.Navigate(server.URL))
}

// A page without an origin of its own is another origin too.
func TestSandboxedPageChangesNothing(t *testing.T) {
	p := openPage(t)
	p.add("Buy milk")
	visitor := openBystander(t, p)
	answers := visitor.answers()
	visitor.do(chromedp.Navigate(`data:text/html,<form method=post action="` + p.url +
		`form/clear"><button>Win</button></form>`))
	visitor.submit("button")
	visitor.becomes(true, `document.body.innerText.includes("page of another site asked for this")`)
	becomes(t, 1, func() int { return answers()["POST 403"] })
	p.has("- Buy milk")
}

func TestNobodyFramesThePage(t *testing.T) {
	p := openPage(t)
	visitor := openBystander(t, p)
	visitor.visit(`<iframe src="` + p.url + `"></iframe>`)
	assert.Contains(t, strings.Join(visitor.Complaints(), "\n"), "frame-ancestors 'none'")
}

// openBystander opens a window in which pages of others may complain.
func openBystander(t *testing.T, p *page) *page {
	t.Helper()
	window, err := p.chromium.Open()
	require.NoError(t, err)
	t.Cleanup(window.Close)
	return &page{window, t, p.chromium, p.url}
}

// answers counts those that the todos' page gives from now on, by method and status.
func (p *page) answers() func() map[string]int {
	p.t.Helper()
	var mu sync.Mutex
	methods, statuses := map[network.RequestID]string{}, map[network.RequestID]int64{}
	err := p.Listen(func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch event := event.(type) {
		case *network.EventRequestWillBeSent:
			if strings.HasPrefix(event.Request.URL, p.url) {
				methods[event.RequestID] = event.Request.Method
			}
		case *network.EventResponseReceivedExtraInfo:
			statuses[event.RequestID] = event.StatusCode
		}
	})
	require.NoError(p.t, err)
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		count := map[string]int{}
		for id, method := range methods {
			if status, ok := statuses[id]; ok {
				count[fmt.Sprint(method, " ", status)]++
			}
		}
		return count
	}
}
