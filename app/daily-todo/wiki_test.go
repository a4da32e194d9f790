package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/wikitest"
)

func TestSaysWhatWikipediaDoesWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"another host": {wikitest.Article("https://evil.example/wiki/Train"),
			`redirects to \"https://evil.example/wiki/Train\", which is another host; ARTICLE_URL must name`},
		"http": {wikitest.Article("http://127.0.0.1/wiki/Train"),
			`redirects to \"http://127.0.0.1/wiki/Train\", which is not https; ARTICLE_URL must name`},
		"loop": {wikitest.Article(page),
			`redirects to \"/wiki/Special:Random\", which is that page itself; ARTICLE_URL must name`},
		"no URL": {wikitest.Article("https://[/"), `redirects to \"https://[/\", which is no URL`},
		"no Location": {wikitest.Article(""),
			"302 Found, and no redirect; ARTICLE_URL must name a page that redirects"},
		"no redirect": {wikitest.Status(http.StatusOK, ""),
			"200 OK, and no redirect; ARTICLE_URL must name a page that redirects"},
		"not modified": {notModified,
			"304 Not Modified, and no redirect; ARTICLE_URL must name a page that redirects"},
		"forbidden": {wikitest.Status(http.StatusForbidden, ""),
			"403 Forbidden, and no redirect; ARTICLE_URL must name a page that redirects"},
		"much later": {wikitest.Status(http.StatusTooManyRequests, "3600"),
			"429 Too Many Requests, retry after 1h0m0s; given up after"},
		"never": {wikitest.Status(http.StatusServiceUnavailable, strings.Repeat("9", 50)),
			"503 Service Unavailable, retry after 596523h14m7s; given up after"},
		"far date": {wikitest.Status(http.StatusServiceUnavailable, "Fri, 31 Dec 2100 23:59:59 GMT"),
			"503 Service Unavailable, retry after "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiki, backend := wikitest.Start(t, localhost), startBackend(t)
			d := start(t, wiki.Page(page, test.answer), backend, "CA_FILE="+wiki.CAFile())
			require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
			assert.Empty(t, backend.posts())
			assert.Contains(t, lastLine(d), "level=ERROR msg=stopped error=\"find a random article: GET "+wiki.URL+
				page)
			assert.Contains(t, lastLine(d), test.says)
			assert.Len(t, wiki.Requests(page), 1)
		})
	}
}

func notModified(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "/wiki/Train")
	w.WriteHeader(http.StatusNotModified)
}

func TestTriesUntilTheTimeIsOver(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"hanging":       {wikitest.Hang, "no answer within 300ms"},
		"cut":           {wikitest.Cut, "(is it up, and may this pod reach it?)"},
		"huge header":   {wikitest.HugeHeader, "(is it up, and may this pod reach it?)"},
		"server errors": {wikitest.Status(http.StatusInternalServerError, ""), "500 Internal Server Error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiki, backend := wikitest.Start(t, localhost), startBackend(t)
			d := start(t, wiki.Page(page, test.answer), backend, "CA_FILE="+wiki.CAFile(), "TIMEOUT=3s")
			require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
			assert.Empty(t, backend.posts())
			assert.Greater(t, len(wiki.Requests(page)), 1)
			assert.Contains(t, d.Logged(), test.says)
			assert.Contains(t, lastLine(d), "; given up after ")
		})
	}
}

func TestTriesAgain(t *testing.T) {
	t.Parallel()
	good := wikitest.Article("/wiki/Train")
	for name, answers := range map[string][]http.HandlerFunc{
		"after errors": {wikitest.Status(http.StatusInternalServerError, ""),
			wikitest.Status(http.StatusBadGateway, "soon"), good},
		"after cut connections": {wikitest.Cut, wikitest.Cut, good},
		"after hanging":         {wikitest.Hang, good},
		"with an endless body":  {wikitest.EndlessBody},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiki, backend := wikitest.Start(t, localhost), startBackend(t)
			d := start(t, wiki.Page(page, answers...), backend, "CA_FILE="+wiki.CAFile())
			require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
			assert.Len(t, wiki.Requests(page), len(answers))
			assert.Len(t, backend.posts(), 1)
		})
	}
}

func TestWaitsAsLongAsRetryAfterSays(t *testing.T) {
	t.Parallel()
	for name, retryAfter := range map[string]func(now time.Time) (header string, earliest time.Time){
		"seconds": func(now time.Time) (string, time.Time) { return "3", now.Add(3 * time.Second) },
		"a date": func(now time.Time) (string, time.Time) {
			date := now.Add(4 * time.Second).Truncate(time.Second)
			return date.UTC().Format(http.TimeFormat), date
		},
		"at once": func(now time.Time) (string, time.Time) { return "0", now.Add(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiki, backend := wikitest.Start(t, localhost), startBackend(t)
			var earliest time.Time
			later := func(w http.ResponseWriter, r *http.Request) {
				var header string
				header, earliest = retryAfter(time.Now())
				wikitest.Status(http.StatusTooManyRequests, header)(w, r)
			}
			d := start(t, wiki.Page(page, later, wikitest.Article("/wiki/Train")), backend, "CA_FILE="+wiki.CAFile())
			require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
			require.Len(t, wiki.Requests(page), 2)
			assert.False(t, wiki.Requests(page)[1].At.Before(earliest), "asked again at %s, before %s",
				wiki.Requests(page)[1].At, earliest)
		})
	}
}

func TestWaitsForWikipedia(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost), startBackend(t)
	wiki.Stop()
	d := start(t, wiki.Page(page, wikitest.Article("/wiki/Train")), backend, "CA_FILE="+wiki.CAFile())
	d.Eventually(func() bool { return strings.Contains(d.Logged(), "connection refused") })
	wiki.Restart()
	require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
	assert.Equal(t, []string{"Read " + wiki.URL + "/wiki/Train"}, backend.titles())
}
