// Package page uses the todos' page in a browser, as visitors do.
package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/internal/browser"
)

const (
	// patience is the longest that a page may take to show something.
	patience = time.Minute
	poll     = 20 * time.Millisecond
)

// Page is the todos' page in a window.
type Page struct {
	*browser.Window
	T *testing.T
	// URL is the page's address, with a slash at its end.
	URL      string
	chromium *browser.Browser
}

// Show shows the stack's page without todos in a Chromium of the test's own.
func Show(t *testing.T) *Page {
	p := Browse(t, pulumi.GetOutputs(t).TodoURL)
	t.Cleanup(func() { assert.Empty(t, p.Faults()) })
	status, _ := p.Ask(http.MethodDelete, "todos", "")
	require.Equal(t, http.StatusNoContent, status)
	p.Open("")
	return p
}

// Browse opens an empty window in a Chromium of the test's own, for pages below an address. They may be other
// people's, whose scripts may fail.
func Browse(t *testing.T, url string) *Page {
	chromium, stop, err := browser.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(stop)
	return (&Page{T: t, URL: url, chromium: chromium}).OpenBystander()
}

// OpenWindow opens an empty window of the same browser. No script may fail in it, and nothing violate the
// page's policy.
func (p *Page) OpenWindow() *Page {
	other := p.OpenBystander()
	p.T.Cleanup(func() { assert.Empty(p.T, other.Faults()) })
	return other
}

// OpenBystander opens a window in which other sites' pages may complain.
func (p *Page) OpenBystander() *Page {
	window, err := p.chromium.Open()
	require.NoError(p.T, err)
	p.T.Cleanup(window.Close)
	return &Page{window, p.T, p.URL, p.chromium}
}

// Shows waits until the page shows these todos and no others, as Has writes them; "e title" is an editor.
func (p *Page) Shows(want ...string) {
	p.Becomes(append([]string{}, want...), `[...document.querySelectorAll("#todos > li")].map((li) => {
		const box = li.querySelector("[type=checkbox]")
		return box ? (box.checked ? "x " : "- ") + li.querySelector(".title").textContent
			: "e " + li.querySelector("input").value
	})`)
}

// Becomes waits until a value is the wanted one.
func Becomes[T any](t *testing.T, want T, get func() T) {
	got := get()
	for deadline := time.Now().Add(patience); !assert.ObjectsAreEqual(want, got); got = get() {
		if time.Now().After(deadline) {
			require.Equal(t, want, got, "still after %s", patience)
		}
		time.Sleep(poll)
	}
}

// Becomes waits for the value of an expression in the page: a string, a list of them, a float64 or a bool.
func (p *Page) Becomes(want any, expression string) {
	Becomes(p.T, fmt.Sprintf("%q", want), func() string {
		switch want.(type) {
		case []string:
			return fmt.Sprintf("%q", Value[[]string](p, expression))
		default:
			return fmt.Sprintf("%q", Value[any](p, expression))
		}
	})
}

// Value is the value of a JavaScript expression in the page.
func Value[T any](p *Page, expression string) T {
	result, err := browser.Value[T](p.Window, expression, chromedp.EvalAwaitPromise)
	require.NoError(p.T, err, expression)
	return result
}

// Do does steps, one after the other.
func (p *Page) Do(steps ...chromedp.Action[chromedp.Void]) {
	require.NoError(p.T, p.Window.Do(steps...))
}

// Open opens an address below the page's.
func (p *Page) Open(path string) { p.Do(chromedp.Navigate(p.URL + path)) }

// Reload reloads the page.
func (p *Page) Reload() { p.Do(chromedp.Reload()) }

// Click clicks on an element.
func (p *Page) Click(selector string) {
	p.Do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Write types into the field for new todos, after what it holds.
func (p *Page) Write(keys string) { p.Do(chromedp.SendKeys(chromedp.CSS("#title"), keys)) }

// Press presses keys where the focus is.
func (p *Page) Press(keys string) { p.Do(chromedp.KeyEvent(keys)) }

// Row is a selector for the todo with a title. It waits until the addition is answered: before, the row has
// another id.
func (p *Page) Row(title string) string {
	var id string
	Becomes(p.T, true, func() bool {
		id = Value[string](p, fmt.Sprintf(`[...document.querySelectorAll("#todos > li:not(.waiting)")].find((li) =>
			li.querySelector(".title")?.textContent === %q)?.id ?? ""`, title))
		return id != ""
	})
	return "#" + id
}

// Text waits until an element is visible and says this.
func (p *Page) Text(want, selector string) {
	p.Becomes(want, fmt.Sprintf(`((element) => element?.checkVisibility() ? element.innerText : "nothing")(
		document.querySelector(%q))`, selector))
}

// Media emulates what a visitor has set in the browser, such as the colour scheme.
func (p *Page) Media(features ...*emulation.MediaFeature) {
	_, err := browser.Call(p.Window, emulation.SetEmulatedMedia,
		emulation.SetEmulatedMediaParams{Features: features})
	require.NoError(p.T, err)
}

// Cut lets nothing through between the page and the todos, or everything again.
func (p *Page) Cut(off bool) {
	_, err := browser.Call(p.Window, network.SetBlockedURLs, network.SetBlockedURLsParams{
		URLPatterns: []*network.BlockPattern{{URLPattern: p.URL + "todos*", Block: off}},
	})
	require.NoError(p.T, err)
}

// Script turns JavaScript on or off.
func (p *Page) Script(on bool) {
	_, err := browser.Call(p.Window, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{Value: !on})
	require.NoError(p.T, err)
}

// Controls are roles and names that a screen reader tells, without texts.
func (p *Page) Controls() (all []string) {
	tree, err := browser.Call(p.Window, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	require.NoError(p.T, err)
	for _, node := range tree.Nodes {
		var role, name string
		if node.Ignored || node.Role == nil || json.Unmarshal(node.Role.Value, &role) != nil ||
			!slices.Contains(told, role) {
			continue
		}
		_ = json.Unmarshal(node.Name.Value, &name)
		all = append(all, role+" "+name)
	}
	return all
}

var told = []string{"alert", "button", "checkbox", "heading", "link", "list", "navigation", "status",
	"textbox"}

// Submit clicks what leads to another page, and waits for that.
func (p *Page) Submit(selector string) {
	require.NoError(p.T, p.Follow(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)))
}
