package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPage(t *testing.T) {
	s := startSite(t)
	empty := s.page("/")
	assert.Equal(t, http.StatusOK, empty.status)
	assert.Empty(t, empty.rows())
	assert.Equal(t, "0 left", empty.text("left"))
	assert.False(t, empty.shown("clear"))

	s.add("Buy milk", "Call Grandma", "Sleep")
	send(t, http.MethodPatch, s.URL("/todos/2"), `{"completed": true}`, "Content-Type", "application/json")
	for path, rows := range map[string][]string{
		"/":                        {"- Sleep", "x Call Grandma", "- Buy milk"},
		"/?show=all&after=x&edit=": {"- Sleep", "x Call Grandma", "- Buy milk"},
		"/?show=active":            {"- Sleep", "- Buy milk"},
		"/?show=completed":         {"x Call Grandma"},
		"/?after=3":                {"x Call Grandma", "- Buy milk"},
		"/?show=active&after=3":    {"- Buy milk"},
		"/?edit=2":                 {"- Sleep", "e Call Grandma", "- Buy milk"},
		"/?edit=4":                 {"- Sleep", "x Call Grandma", "- Buy milk"},
	} {
		page := s.page(path)
		assert.Equal(t, rows, page.rows(), path)
		assert.Equal(t, "2 left", page.text("left"), path)
		assert.Equal(t, "Clear 1 completed", page.text("clear"), path)
		assert.True(t, page.shown("clear"), path)
		assert.False(t, page.shown("more"), path)
		assert.False(t, page.shown("away"), path)
		assert.Equal(t, strings.Contains(path, "after=3"), page.shown("newest"), path)
	}
	page := s.page("/?show=active&after=3")
	assert.Equal(t, "/form/add?after=3&show=active", attribute(page.find("add"), "action"))
	assert.Equal(t, "/?after=3&edit=1&show=active", attribute(page.find("edit-1"), "href"))
	assert.Equal(t, "/form/delete/1?after=3&show=active", attribute(page.find("delete-1"), "formaction"))
	assert.Equal(t, "/?show=active", attribute(page.find("newest"), "href"))
}

func TestPages(t *testing.T) {
	s := startSite(t)
	for i := range 250 {
		s.add(fmt.Sprintf("Todo %d", i+1))
	}
	var seen []string
	path := "/"
	for _, more := range []bool{true, true, false} {
		page := s.page(path)
		seen = append(seen, page.rows()...)
		assert.Equal(t, "250 left", page.text("left"))
		require.Equal(t, more, page.shown("more"))
		path = attribute(page.find("more"), "href")
	}
	require.Len(t, seen, 250)
	for i, row := range seen {
		assert.Equal(t, fmt.Sprintf("- Todo %d", 250-i), row)
	}
}

// With the page's entity tag, the script gets 304 until the list changes.
func TestPageKnowsTheTagOfItsTodos(t *testing.T) {
	s := startSite(t)
	s.add("Buy milk")
	for page, list := range map[string]string{"/": "/todos?limit=100",
		"/?show=active": "/todos?limit=100&completed=false"} {
		tag := attribute(s.page(page).find("todos"), "data-etag")
		assert.Equal(t, http.StatusNotModified,
			send(t, http.MethodGet, s.URL(list), "", "If-None-Match", tag).status)
	}
}

func TestFormsWorkWithoutScript(t *testing.T) {
	s := startSite(t)
	for _, step := range []struct {
		path, field, value string
		leadsTo            string
		rows               []string
	}{
		{"/form/add", "title", "Buy milk", "/", []string{"- Buy milk"}},
		{"/form/add?show=active&after=7", "title", " Call Grandma ", "/?show=active",
			[]string{"- Call Grandma", "- Buy milk"}},
		{"/form/add?show=completed", "title", "Sleep", "/", []string{"- Sleep", "- Call Grandma", "- Buy milk"}},
		{"/form/complete/2?show=active", "completed", "true", "/?show=active#todo-2",
			[]string{"- Sleep", "x Call Grandma", "- Buy milk"}},
		{"/form/complete/1", "completed", "true", "/#todo-1", []string{"- Sleep", "x Call Grandma", "x Buy milk"}},
		{"/form/complete/1", "", "", "/#todo-1", []string{"- Sleep", "x Call Grandma", "- Buy milk"}},
		{"/form/edit/2?after=9&edit=2", "title", "Call Mum", "/?after=9&edit=2#todo-2",
			[]string{"- Sleep", "x Call Mum", "- Buy milk"}},
		{"/form/delete/1", "", "", "/", []string{"- Sleep", "x Call Mum"}},
		{"/form/delete/1", "", "", "/", []string{"- Sleep", "x Call Mum"}},
		{"/form/clear?show=completed", "", "", "/?show=completed", []string{"- Sleep"}},
	} {
		a := s.form(step.path, url.Values{step.field: {step.value}})
		require.Equal(t, http.StatusSeeOther, a.status, "%s: %s", step.path, a.body)
		assert.Equal(t, step.leadsTo, a.header.Get("Location"))
		assert.Equal(t, step.rows, s.page("/").rows(), step.path)
	}
}

func TestAFormAddsOnce(t *testing.T) {
	s := startSite(t)
	key := attribute(s.page("/").find("key"), "value")
	for _, title := range []string{"Buy milk", "Buy milk", "Buy bread", "Buy milk"} {
		assert.Equal(t, http.StatusSeeOther, s.form("/form/add", url.Values{"title": {title}, "key": {key}}).status)
	}
	assert.Equal(t, []string{"- Buy bread", "- Buy milk"}, s.page("/").rows())
	another := attribute(s.page("/").find("key"), "value")
	assert.NotEqual(t, key, another)
	for _, key := range []string{another, ""} {
		assert.Equal(t, http.StatusSeeOther,
			s.form("/form/add", url.Values{"title": {"Buy milk"}, "key": {key}}).status)
	}
	assert.Equal(t, []string{"- Buy milk", "- Buy milk", "- Buy bread", "- Buy milk"}, s.page("/").rows())
}

func TestRefusedFormsKeepWhatWasTyped(t *testing.T) {
	s := startSite(t)
	s.add("Buy milk")
	long := strings.Repeat("x", 141)
	for title, reason := range map[string]string{
		"  ":       "The title is empty.",
		long:       "The title has 141 characters; 140 are allowed.",
		"a\u202Eb": "The title contains U+202E, which changes the direction of text.",
	} {
		added := parse(t, s.form("/form/add?show=active", url.Values{"title": {title}, "key": {"1234"}}))
		assert.Equal(t, http.StatusUnprocessableEntity, added.status)
		assert.Equal(t, title, attribute(added.find("title"), "value"))
		assert.Equal(t, "true", attribute(added.find("title"), "aria-invalid"))
		assert.Equal(t, reason, added.text("title-error"))
		assert.Equal(t, "1234", attribute(added.find("key"), "value"))
		assert.Equal(t, []string{"- Buy milk"}, added.rows())

		edited := parse(t, s.form("/form/edit/1", url.Values{"title": {title}}))
		assert.Equal(t, http.StatusUnprocessableEntity, edited.status)
		assert.Equal(t, []string{"e " + title}, edited.rows())
		assert.Equal(t, reason, edited.text("error-1"))
	}
	gone := parse(t, s.form("/form/edit/7", url.Values{"title": {"Buy bread"}}))
	assert.Equal(t, http.StatusNotFound, gone.status)
	assert.Equal(t, []string{"- Buy milk"}, gone.rows())
	assert.Equal(t, "Buy bread", attribute(gone.find("title"), "value"))
	assert.Equal(t, "That todo is gone: somebody deleted it.", gone.text("title-error"))
	gone = parse(t, s.form("/form/complete/7", url.Values{"completed": {"true"}}))
	assert.Equal(t, http.StatusNotFound, gone.status)
	assert.Equal(t, "That todo is gone: somebody deleted it.", gone.text("notice"))

	for path, status := range map[string]int{"/form/edit/x": 404, "/form/delete/0": 404,
		"/form/complete/-1": 404} {
		assert.Equal(t, status, s.form(path, url.Values{"title": {"x"}}).status, path)
	}
	assert.Equal(t, http.StatusRequestEntityTooLarge,
		s.form("/form/add", url.Values{"title": {strings.Repeat("x", 17<<10)}}).status)
	for _, contentType := range []string{"application/json", "multipart/form-data; boundary=x", "x/", ""} {
		other := send(t, http.MethodPost, s.URL("/form/add"), "title=x", "Content-Type", contentType)
		assert.Equal(t, http.StatusUnsupportedMediaType, other.status, contentType)
	}
	malformed := send(t, http.MethodPost, s.URL("/form/add"), "title=%zz", "Content-Type",
		"application/x-www-form-urlencoded")
	assert.Equal(t, http.StatusBadRequest, malformed.status)
	assert.Equal(t, []string{"- Buy milk"}, s.page("/").rows())
}

func TestBackendIsAway(t *testing.T) {
	s := startSite(t)
	s.add("Buy milk")
	s.backend.goAway()

	page := s.page("/?show=active")
	assert.Equal(t, http.StatusServiceUnavailable, page.status)
	assert.True(t, page.shown("away"))
	assert.False(t, page.shown("left"))
	assert.Empty(t, page.rows())
	assert.Equal(t, "/?show=active", attribute(page.find("retry"), "href"))
	assert.Equal(t, "2", send(t, http.MethodGet, s.URL("/"), "").header.Get("Retry-After"))

	const later = "This could not be saved. Try again in a moment."
	added := parse(t, s.form("/form/add", url.Values{"title": {"Buy bread"}, "key": {"1234"}}))
	assert.Equal(t, http.StatusServiceUnavailable, added.status)
	assert.Equal(t, "Buy bread", attribute(added.find("title"), "value"))
	assert.Equal(t, "1234", attribute(added.find("key"), "value"))
	assert.Equal(t, later, added.text("title-error"))
	edited := parse(t, s.form("/form/edit/1", url.Values{"title": {"Buy oat milk"}}))
	assert.Equal(t, http.StatusServiceUnavailable, edited.status)
	assert.Equal(t, []string{"e Buy oat milk"}, edited.rows())
	assert.Equal(t, later, edited.text("error-1"))
	completed := parse(t, s.form("/form/complete/1", url.Values{"completed": {"true"}}))
	assert.Equal(t, http.StatusServiceUnavailable, completed.status)
	assert.Equal(t, later, completed.text("notice"))

	for path, body := range map[string]string{"/readyz": "ok\n", "/livez": "ok\n"} {
		status, answer := s.Get(path)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, body, answer)
	}
	forwarded := send(t, http.MethodGet, s.URL("/todos"), "")
	assert.Equal(t, http.StatusServiceUnavailable, forwarded.status)
	assert.Equal(t, "1", forwarded.header.Get("Retry-After"))
	assert.Equal(t, "application/problem+json", forwarded.header.Get("Content-Type"))
	assert.Equal(t, `{"title":"Service Unavailable","status":503,"detail":"the todos are away"}`+"\n",
		forwarded.body)

	s.backend.comeBack()
	assert.Equal(t, http.StatusSeeOther,
		s.form("/form/add", url.Values{"title": {"Buy bread"}, "key": {"1234"}}).status)
	assert.Equal(t, []string{"- Buy bread", "- Buy milk"}, s.page("/").rows())
}

func TestTitlesAreText(t *testing.T) {
	s := startSite(t)
	const title = `<script>alert(1)</script> https://example.com/"onclick='x' & http://a.example/<b>`
	require.Equal(t, http.StatusSeeOther, s.form("/form/add", url.Values{"title": {title}}).status)
	assert.Contains(t, send(t, http.MethodGet, s.URL("/"), "").body,
		`<span class="title" id="title-1" dir="auto">`+
			`&lt;script&gt;alert(1)&lt;/script&gt; `+
			`<a href="https://example.com/" target="_blank" rel="noopener noreferrer">https://example.com/</a>`+
			`&#34;onclick=&#39;x&#39; &amp; `+
			`<a href="http://a.example/" target="_blank" rel="noopener noreferrer">http://a.example/</a>`+
			`&lt;b&gt;</span>`)
	assert.Equal(t, []string{"e " + title}, s.page("/?edit=1").rows())
	refused := parse(t, s.form("/form/add", url.Values{"title": {`"><script>` + strings.Repeat("x", 140)}}))
	assert.Equal(t, `"><script>`+strings.Repeat("x", 140), attribute(refused.find("title"), "value"))
}

var referred = regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`)

// Everything that a browser loads to show 100 todos.
func TestPageWeighsLittle(t *testing.T) {
	s := startSite(t)
	for i := range 110 {
		s.add(fmt.Sprintf("Read https://en.wikipedia.org/wiki/Special:Random/%d and tell the others about it",
			i*7919))
	}
	weight := 0
	load := func(path string) string {
		a := send(t, http.MethodGet, s.URL(path), "", "Accept-Encoding", "gzip")
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, "gzip", a.header.Get("Content-Encoding"), path)
		weight += len(a.body)
		reader, err := gzip.NewReader(strings.NewReader(a.body))
		require.NoError(t, err)
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		return string(content)
	}
	files := referred.FindAllStringSubmatch(load("/"), -1)
	require.Len(t, files, 3)
	for _, file := range files {
		if !strings.HasSuffix(file[1], ".svg") { // too small to be compressed
			load(file[1])
		}
	}
	t.Logf("%d bytes", weight)
	assert.Less(t, weight, 20_000)
}
