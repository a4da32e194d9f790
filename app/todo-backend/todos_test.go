package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnswersInFull(t *testing.T) {
	p, _ := start(t)
	a := p.send("POST", "/todos", `{"title":" say \"hé\" <&> \\ 🙂  ","order":-7,"url":"ignored","id":99}`,
		"X-Request-Id: mine.1")
	assert.Equal(t, http.StatusCreated, a.status)
	url := p.URL("/todos/1")
	assert.Equal(t, url, a.header.Get("Location"))
	assert.Equal(t, "no-store", a.header.Get("Cache-Control"))
	assert.Equal(t, "mine.1", a.header.Get("X-Request-Id"))
	text := `{"id":1,"title":"say \"hé\" <&> \\ 🙂","completed":false,"order":-7,"url":"` + url + `"}`
	assert.Equal(t, text+"\n", a.body)

	a = p.send("GET", "/todos/1", "", "X-Request-Id: no good")
	assert.Equal(t, text+"\n", a.body)
	assert.Equal(t, "no-cache", a.header.Get("Cache-Control"))
	assert.Regexp(t, `^[A-Z2-7]{26}$`, a.header.Get("X-Request-Id"))
	assert.Equal(t, "["+text+"]\n", p.send("GET", "/todos", "").body)
	head := p.send("HEAD", "/todos/1", "")
	assert.Equal(t, http.StatusOK, head.status)
	assert.Equal(t, a.header.Get("ETag"), head.header.Get("ETag"))
	assert.Equal(t, strconv.Itoa(len(text)+1), head.header.Get("Content-Length"))

	a = p.send("PUT", "/todos/1", `{"title":"another"}`)
	assert.Equal(t, item{1, "another", false, nil, url}, p.item(http.StatusOK, a))
	a = p.send("PUT", "/todos/1", `{"title":"whole","completed":true,"order":3}`)
	assert.Equal(t, item{1, "whole", true, new(3), url}, p.item(http.StatusOK, a))
	a = p.send("PATCH", "/todos/1", `{"order":null}`)
	assert.Equal(t, item{1, "whole", true, nil, url}, p.item(http.StatusOK, a))
	a = p.send("PATCH", "/todos/1", `{"completed":false}`)
	assert.Equal(t, item{1, "whole", false, nil, url}, p.item(http.StatusOK, a))
	a = p.send("PATCH", "/todos/1", `{}`)
	assert.Equal(t, item{1, "whole", false, nil, url}, p.item(http.StatusOK, a))
	assert.Equal(t, http.StatusNoContent, p.send("DELETE", "/todos/1", "").status)
	assert.Equal(t, problem(404, "there is no such todo"), p.send("DELETE", "/todos/1", "").body)
}

// pages follows the Link headers from a path and returns the titles of each page.
func (p *process) pages(path string) [][]string {
	p.t.Helper()
	var pages [][]string
	for path != "" {
		a := p.send("GET", path, "")
		require.Equal(p.t, http.StatusOK, a.status, a.body)
		var list []item
		decode(p.t, a.body, &list)
		pages = append(pages, titles(list))
		path = ""
		if link := regexp.MustCompile(`^<(.*)>; rel="next"$`).FindStringSubmatch(
			a.header.Get("Link")); link != nil {
			path = link[1]
		}
	}
	return pages
}

func TestPages(t *testing.T) {
	p, server := start(t)
	server.Exec(`INSERT INTO todo (title, completed) SELECT n::text, n % 3 = 0 FROM generate_series(1, 7) n`)
	assert.Equal(t, [][]string{{"7", "6", "5"}, {"4", "3", "2"}, {"1"}}, p.pages("/todos?limit=3"))
	assert.Equal(t, [][]string{{"7"}, {"6"}, {"5"}, {"4"}, {"3"}, {"2"}, {"1"}}, p.pages("/todos?limit=1"))
	assert.Equal(t, [][]string{{"7", "6", "5", "4", "3", "2", "1"}}, p.pages("/todos?limit=7"))
	assert.Equal(t, [][]string{{"6"}, {"3"}}, p.pages("/todos?limit=1&completed=true"))
	assert.Equal(t, [][]string{{"7", "5"}, {"4", "2"}, {"1"}}, p.pages("/todos?limit=2&completed=false"))
	assert.Equal(t, [][]string{{"2", "1"}}, p.pages("/todos?after=3"))
	assert.Equal(t, [][]string{{}}, p.pages("/todos?after=1"))
	server.Exec(`INSERT INTO todo (title, completed) SELECT n::text, false FROM generate_series(8, 1002) n`)
	var sizes []int
	for _, page := range p.pages("/todos") {
		sizes = append(sizes, len(page))
	}
	assert.Equal(t, []int{100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 2}, sizes)
	assert.Len(t, p.list("/todos?limit=1000"), 1000)
}

func TestCountsAndDeletingByKind(t *testing.T) {
	p, server := start(t)
	counts := func() string { return p.send("GET", "/todos/counts", "").body }
	assert.Equal(t, "{\"active\":0,\"completed\":0}\n", counts())
	server.Exec(`INSERT INTO todo (title, completed) SELECT n::text, n > 3 FROM generate_series(1, 10002) n`)
	assert.Equal(t, "{\"active\":3,\"completed\":9999}\n", counts())
	server.Exec(`INSERT INTO todo (title, completed) SELECT n::text, true FROM generate_series(1, 3) n`)
	assert.Equal(t, "{\"active\":3,\"completed\":10001}\n", counts())
	assert.Equal(t, http.StatusNoContent, p.send("DELETE", "/todos?completed=true", "").status)
	assert.Equal(t, "{\"active\":3,\"completed\":0}\n", counts())
	assert.Equal(t, []string{"3", "2", "1"}, titles(p.list("/todos")))
	p.send("PATCH", "/todos/2", `{"completed":true}`)
	assert.Equal(t, http.StatusNoContent, p.send("DELETE", "/todos?completed=false", "").status)
	assert.Equal(t, []string{"2"}, titles(p.list("/todos")))
	assert.Equal(t, http.StatusNoContent, p.send("DELETE", "/todos", "").status)
	assert.Equal(t, "{\"active\":0,\"completed\":0}\n", counts())
}

func TestConditionalRequests(t *testing.T) {
	p, _ := start(t)
	made := p.add(`{"title":"a"}`)
	for _, path := range []string{"/todos", "/todos/1", "/todos/counts"} {
		tag := p.send("GET", path, "").header.Get("ETag")
		assert.Regexp(t, `^"[\w-]{16}"$`, tag)
		for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			a := p.send("GET", path, "", "If-None-Match: "+known)
			assert.Equal(t, http.StatusNotModified, a.status, known)
			assert.Equal(t, tag, a.header.Get("ETag"))
			assert.Empty(t, a.body)
		}
		assert.Equal(t, http.StatusOK, p.send("GET", path, "", `If-None-Match: "x"`).status)
		p.send("PATCH", made.URL, `{"completed":true}`)
		assert.Equal(t, http.StatusOK, p.send("GET", path, "", "If-None-Match: "+tag).status)
		p.send("PATCH", made.URL, `{"completed":false}`)
		assert.Equal(t, http.StatusNotModified, p.send("GET", path, "", "If-None-Match: "+tag).status)
	}
}

func TestURLsHaveTheHostThatTheClientSees(t *testing.T) {
	p, _ := start(t)
	p.add(`{"title":"a"}`)
	for _, test := range []struct{ url, host, forwardedHost, proto string }{
		{"http://todo.example:81/todos/1", "todo.example:81", "", ""},
		{"https://page.example/todos/1", "x", "page.example", "https"},
		{"http://first.example/todos/1", "x", "first.example, second.example", "http"},
		{"http://[::1]:8/todos/1", "[::1]:8", "", "ftp"},
		{"http://x/todos/1", "x", `"><script>`, "javascript"},
	} {
		a := p.send("GET", "/todos/1", "", "Host: "+test.host, "X-Forwarded-Host: "+test.forwardedHost,
			"X-Forwarded-Proto: "+test.proto)
		assert.Equal(t, test.url, p.item(http.StatusOK, a).URL)
	}
	a := p.send("GET", "/todos/1", "", "Host: $(x)")
	assert.Equal(t, problem(400, "the request has no valid Host"), a.body)
	p.add(`{"title":"b"}`)
	a = p.send("GET", "/todos?limit=1", "", "X-Forwarded-Host: page.example", "X-Forwarded-Proto: https")
	assert.Equal(t, `<https://page.example/todos?after=2&limit=1>; rel="next"`, a.header.Get("Link"))
}

func TestOrigins(t *testing.T) {
	p, _ := start(t, "ALLOWED_ORIGINS=https://a.example  http://b.example:3000")
	for origin, allowed := range map[string]string{
		"https://a.example": "https://a.example", "http://b.example:3000": "http://b.example:3000",
		"http://a.example": "", "https://c.example": "", "null": "",
	} {
		for _, a := range []answer{
			p.send("GET", "/todos", "", "Origin: "+origin),
			p.send("GET", "/nowhere", "", "Origin: "+origin),
			p.send("OPTIONS", "/todos/1", "", "Origin: "+origin, "Access-Control-Request-Method: PUT",
				"Access-Control-Request-Headers: content-type,idempotency-key,if-none-match"),
		} {
			assert.Equal(t, allowed, a.header.Get("Access-Control-Allow-Origin"), origin)
			assert.Equal(t, "", a.header.Get("Access-Control-Allow-Credentials"))
			assert.Contains(t, a.header.Get("Vary"), "Origin")
		}
	}
	exposed := p.send("GET", "/todos", "",
		"Origin: https://a.example").header.Get("Access-Control-Expose-Headers")
	assert.Equal(t, "Link, Location, Etag, Retry-After", exposed)
}

// Concurrent changes of different fields are both kept.
func TestConcurrentChangesOfFields(t *testing.T) {
	p, _ := start(t)
	made := p.add(`{"title":"0"}`)
	var clients sync.WaitGroup
	for _, change := range []string{`{"title":"%d"}`, `{"order":%d}`} {
		clients.Go(func() {
			for n := 1; n <= 50; n++ {
				a, err := p.try("PATCH", made.URL, fmt.Sprintf(change, n))
				if !assert.NoError(t, err) || !assert.Equal(t, http.StatusOK, a.status, a.body) {
					return
				}
			}
		})
	}
	clients.Wait()
	assert.Equal(t, item{1, "50", false, new(50), made.URL}, p.item(http.StatusOK, p.send("GET", made.URL, "")))
}

func TestRequestsAreLoggedIfAsked(t *testing.T) {
	const names = `SELECT coalesce(string_agg(application_name, ' '), '') FROM pg_stat_activity
		WHERE application_name = 'mine.7'`
	for level, logged := range map[string]bool{"info": false, "debug": true} {
		t.Run(level, func(t *testing.T) {
			p, server := start(t, "LOG_LEVEL="+level)
			p.send("GET", "/todos?limit=1", "", "X-Request-Id: mine.7")
			seen := map[bool]string{true: "mine.7"}[logged]
			assert.Equal(t, seen, server.Ask(names), "what the database sees")
			p.Stop(syscall.SIGTERM) // flushes the log
			line := regexp.MustCompile(`msg=answered method=GET path=/todos status=200 took=\S+ request=mine.7\n`)
			assert.Equal(t, logged, line.MatchString(p.Logged()), p.Logged())
		})
	}
}

func TestTodosAreLogged(t *testing.T) {
	p, _ := start(t)
	p.send("POST", "/todos", `{"title":"walk the dog"}`, "X-Request-Id: one")
	p.send("POST", "/todos", `{"title":"a\nlevel=ERROR msg=forged\u202e"}`, "X-Request-Id: two")
	p.send("POST", "/todos", `{"title":"`+strings.Repeat("é", 200)+`"}`, "X-Request-Id: three")
	p.send("POST", "/todos", `{`, "X-Request-Id: four\u0085")
	p.send("PATCH", "/todos/1", `{"completed":true}`, "X-Request-Id: five")
	p.Stop(syscall.SIGTERM) // flushes the log
	var lines []string
	for line := range strings.Lines(p.Logged()) {
		if strings.Contains(line, "msg=todo ") {
			lines = append(lines, regexp.MustCompile(`^time=\S+ |request=[A-Z2-7]{26}`).ReplaceAllString(line, ""))
		}
	}
	assert.Equal(t, []string{
		`level=INFO msg=todo method=POST title="walk the dog" request=one status=201 id=1` + "\n",
		`level=INFO msg=todo method=POST title="a\nlevel=ERROR msg=forged\u202e" request=two status=422 ` +
			`reason="the title contains the control character U+000A; it has to be one line of text"` + "\n",
		`level=INFO msg=todo method=POST title=` + strings.Repeat("é", 100) + `… request=three status=422 ` +
			`reason="the title has 200 characters; 140 are allowed"` + "\n",
		`level=INFO msg=todo method=POST title=""  status=400 reason="the body is not one JSON object"` + "\n",
		`level=INFO msg=todo method=PATCH title="" request=five status=200 id=1` + "\n",
	}, lines)
}
