package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/browser"
)

const (
	// pagePatience is the longest that a page may take to show something.
	pagePatience = time.Minute
	pagePoll     = 20 * time.Millisecond
)

// pageURL is the address of the todos' page, with a slash at its end: the stack's, or $TODO_URL.
func pageURL(t *testing.T) string {
	t.Helper()
	if address := os.Getenv("TODO_URL"); address != "" {
		return address
	}
	return outputs(t).TodoURL
}

// page is the todos' page in a window.
type page struct {
	*browser.Window
	t        *testing.T
	chromium *browser.Browser
	url      string
}

// openPage shows a page without todos in a Chromium of the test's own, in the lane of the todos.
func openPage(t *testing.T) *page {
	t.Helper()
	inLane(t, project)
	return showPage(t)
}

// showPage is openPage for a test that is in that lane already.
func showPage(t *testing.T) *page {
	t.Helper()
	chromium, stop, err := browser.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(stop)
	p := openWindow(t, chromium)
	status, _ := p.ask(http.MethodDelete, "todos", "")
	require.Equal(t, http.StatusNoContent, status)
	p.open("")
	return p
}

// openWindow opens an empty window. No script may fail in it, and nothing violate the page's policy.
func openWindow(t *testing.T, chromium *browser.Browser) *page {
	t.Helper()
	window, err := chromium.Open()
	require.NoError(t, err)
	p := &page{window, t, chromium, pageURL(t)}
	t.Cleanup(func() {
		assert.Empty(t, p.Complaints())
		p.Close()
	})
	return p
}

// ask sends a request that no browser sends.
func (p *page) ask(method, path, body string) (status int, answer string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	require.NoError(p.t, err)
	request.Header.Set("Content-Type", "application/json")
	return exchange(p.t, request)
}

// add adds todos one after the other, as others do behind the page's back.
func (p *page) add(titles ...string) {
	p.t.Helper()
	for _, title := range titles {
		body, err := json.Marshal(map[string]string{"title": title})
		require.NoError(p.t, err)
		status, answer := p.ask(http.MethodPost, "todos", string(body))
		require.Equal(p.t, http.StatusCreated, status, answer)
	}
}

// change patches the todo of a title.
func (p *page) change(title, patch string) {
	p.t.Helper()
	status, answer := p.ask(http.MethodPatch, p.path(title), patch)
	require.Equal(p.t, http.StatusOK, status, answer)
}

// path is that of the todo with a title.
func (p *page) path(title string) string {
	p.t.Helper()
	for _, todo := range p.todos() {
		if todo.Title == title {
			return fmt.Sprintf("todos/%d", todo.ID)
		}
	}
	require.FailNow(p.t, "there is no such todo", title)
	return ""
}

type todo struct {
	ID        int64
	Title     string
	Completed bool
}

// todos are those that the backend has, up to a thousand.
func (p *page) todos() (todos []todo) {
	p.t.Helper()
	status, answer := p.ask(http.MethodGet, "todos?limit=1000", "")
	require.Equal(p.t, http.StatusOK, status, answer)
	require.NoError(p.t, json.Unmarshal([]byte(answer), &todos))
	return todos
}

// get is the todo with an ID.
func (p *page) get(id string) (found todo) {
	p.t.Helper()
	status, answer := p.ask(http.MethodGet, "todos/"+id, "")
	require.Equal(p.t, http.StatusOK, status, answer)
	require.NoError(p.t, json.Unmarshal([]byte(answer), &found))
	return found
}

// has waits until the backend has these todos and no others: "x title" for a completed one, or else "-
// title".
func (p *page) has(want ...string) {
	p.t.Helper()
	becomes(p.t, append([]string{}, want...), func() []string {
		all := []string{}
		for _, todo := range p.todos() {
			all = append(all, map[bool]string{true: "x ", false: "- "}[todo.Completed]+todo.Title)
		}
		return all
	})
}

// shows waits until the page shows these todos and no others, in has' notation; "e title" is an editor.
func (p *page) shows(want ...string) {
	p.t.Helper()
	p.becomes(append([]string{}, want...), `[...document.querySelectorAll("#todos > li")].map((li) => {
		const box = li.querySelector("[type=checkbox]")
		return box ? (box.checked ? "x " : "- ") + li.querySelector(".title").textContent : "e " + li.querySelector("input").value
	})`)
}

// becomes waits until a value is the one that is wanted.
func becomes[T any](t *testing.T, want T, get func() T) {
	t.Helper()
	got := get()
	for deadline := time.Now().Add(pagePatience); !assert.ObjectsAreEqual(want, got); got = get() {
		if time.Now().After(deadline) {
			require.Equal(t, want, got, "still after %s", pagePatience)
		}
		time.Sleep(pagePoll)
	}
}

// becomes waits for the value of an expression in the page: a string, a list of them, a float64 or a bool.
func (p *page) becomes(want any, expression string) {
	p.t.Helper()
	becomes(p.t, fmt.Sprintf("%q", want), func() string {
		switch want.(type) {
		case []string:
			return fmt.Sprintf("%q", value[[]string](p, expression))
		default:
			return fmt.Sprintf("%q", value[any](p, expression))
		}
	})
}

func value[T any](p *page, expression string) T {
	p.t.Helper()
	result, err := browser.Value[T](p.Window, expression, chromedp.EvalAwaitPromise)
	require.NoError(p.t, err, expression)
	return result
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, p.Do(steps...))
}

// open goes to an address below the page's.
func (p *page) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.url + path))
}

func (p *page) reload() {
	p.t.Helper()
	p.do(chromedp.Reload())
}

func (p *page) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// write types into the field for new todos, after what it holds.
func (p *page) write(keys string) {
	p.t.Helper()
	p.do(chromedp.SendKeys(chromedp.CSS("#title"), keys))
}

// press presses keys where the focus is.
func (p *page) press(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// row is a selector for the todo with a title, once its addition is answered: until then the row has an id of
// its own.
func (p *page) row(title string) string {
	p.t.Helper()
	var id string
	becomes(p.t, true, func() bool {
		id = value[string](p, fmt.Sprintf(`[...document.querySelectorAll("#todos > li:not(.waiting)")].find((li) =>
			li.querySelector(".title")?.textContent === %q)?.id ?? ""`, title))
		return id != ""
	})
	return "#" + id
}

// text waits until an element is to be seen and says this.
func (p *page) text(want, selector string) {
	p.t.Helper()
	p.becomes(want, fmt.Sprintf(`((element) => element?.checkVisibility() ? element.innerText : "nothing")(document.querySelector(%q))`, selector))
}

// media emulates what a visitor has set, such as "prefers-color-scheme", "dark": names and values in turn.
func (p *page) media(settings ...string) {
	p.t.Helper()
	features := []*emulation.MediaFeature{}
	for i := 0; i < len(settings); i += 2 {
		features = append(features, &emulation.MediaFeature{Name: settings[i], Value: settings[i+1]})
	}
	_, err := browser.Call(p.Window, emulation.SetEmulatedMedia,
		emulation.SetEmulatedMediaParams{Features: features})
	require.NoError(p.t, err)
}

// cut lets nothing through between the page and the todos, or everything again.
func (p *page) cut(off bool) {
	p.t.Helper()
	_, err := browser.Call(p.Window, network.SetBlockedURLs, network.SetBlockedURLsParams{
		URLPatterns: []*network.BlockPattern{{URLPattern: p.url + "todos*", Block: off}},
	})
	require.NoError(p.t, err)
}

// script turns JavaScript on or off.
func (p *page) script(on bool) {
	p.t.Helper()
	_, err := browser.Call(p.Window, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{Value: !on})
	require.NoError(p.t, err)
}

// picture keeps a screenshot of the whole page.
func (p *page) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = filepath.Join(checkout, ".lab", labName(), "screenshots")
	}
	image, err := browser.Picture(p.Window)
	require.NoError(p.t, err)
	require.NoError(p.t, os.MkdirAll(dir, 0o755))
	require.NoError(p.t, os.WriteFile(filepath.Join(dir, name+".png"), image, 0o644))
}

// controls are what a screen reader tells of the page, without its texts: roles and names.
func (p *page) controls() (all []string) {
	p.t.Helper()
	tree, err := browser.Call(p.Window, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	require.NoError(p.t, err)
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

// submit clicks what leads to another page, and waits for that.
func (p *page) submit(selector string) {
	p.t.Helper()
	require.NoError(p.t, p.Follow(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)))
}
