package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/authorities"
	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
	"github.com/stateful-k3s/stateful-k3s/app/internal/outcome"
	"github.com/stateful-k3s/stateful-k3s/internal/wikitest"
)

// These tests run daily-todo as a process between a fake Wikipedia and a fake todo-backend.

func TestMain(m *testing.M) { apptest.Main(m, main) }

const (
	localhost = "127.0.0.1:0"
	page      = "/wiki/Special:Random"
)

func TestAddsATodo(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost), startBackend(t)
	ended := filepath.Join(t.TempDir(), "termination-log")
	d := start(t, wiki.Page(page, wikitest.Article("/wiki/Caf%C3%A9_(drink)")), backend, "CA_FILE="+
		wiki.CAFile(), "TERMINATION_LOG="+ended)
	require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())

	require.Len(t, wiki.Asked(page), 1)
	asked := wiki.Asked(page)[0]
	assert.Equal(t, http.MethodGet, asked.Method)
	assert.Equal(t, "stateful-k3s-daily-todo-bot/1.0 (https://github.com/stateful-k3s/stateful-k3s)",
		asked.UserAgent())
	title := "Read " + wiki.URL + "/wiki/Caf%C3%A9_(drink)"
	assert.Equal(t, []post{{title: title, key: "job-1", contentType: "application/json"}}, backend.posts())
	assert.Contains(t, d.Logged(), fmt.Sprintf("level=INFO msg=added title=%q todo=/todos/17\n", title))
	assert.Equal(t, 2, strings.Count(d.Logged(), "\n"), "added, stopped: %s", d.Logged())
	said, ok := outcomeIn(t, ended)
	assert.Equal(t, fmt.Sprintf("added %q", title), said)
	assert.True(t, ok)
}

// outcomeIn reads the termination message.
func outcomeIn(t *testing.T, file string) (message string, ok bool) {
	t.Helper()
	line, err := os.ReadFile(file)
	require.NoError(t, err)
	var end outcome.Outcome
	require.NoError(t, json.Unmarshal(line, &end))
	return end.Said, end.OK
}

func TestPassesOverArticlesThatMakeNoTodo(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost),
		startBackend(t, problem422(`{"type": "urn:example:title", "status": 422, "detail": "no such titles"}`),
			created)
	d := start(t, wiki.Page(page, wikitest.Article("/wiki/Refused"), wikitest.Article("/wiki/Train")), backend,
		"CA_FILE="+wiki.CAFile())
	require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
	assert.Equal(t, []string{"Read " + wiki.URL + "/wiki/Refused", "Read " + wiki.URL + "/wiki/Train"},
		backend.titles())
	assert.Contains(t, d.Logged(), `reason="no such titles"`)
}

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
			assert.Len(t, wiki.Asked(page), 1)
		})
	}
}

func notModified(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "/wiki/Train")
	w.WriteHeader(http.StatusNotModified)
}

func TestGivesUpOnTitlesThatAreRefused(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost), startBackend(t, problem422(`{"detail": "no titles at all"}`))
	ended := filepath.Join(t.TempDir(), "termination-log")
	d := start(t, wiki.Page(page, wikitest.Article("/wiki/Train")), backend, "CA_FILE="+wiki.CAFile(),
		"TERMINATION_LOG="+ended)
	require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
	const gaveUp = "the backend refused 20 articles in a row: set ARTICLE_URL to another page than "
	assert.Contains(t, lastLine(d), gaveUp+wiki.URL+page)
	message, ok := outcomeIn(t, ended)
	assert.Contains(t, message, gaveUp)
	assert.False(t, ok)
	assert.Len(t, backend.posts(), 20)
}

func TestTriesUntilTheTimeIsOver(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"hanging":       {wikitest.Hang, "no answer within 300ms"},
		"cut":           {wikitest.Cut, "(is it up, and may this pod connect to it?)"},
		"huge header":   {wikitest.HugeHeader, "(is it up, and may this pod connect to it?)"},
		"server errors": {wikitest.Status(http.StatusInternalServerError, ""), "500 Internal Server Error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiki, backend := wikitest.Start(t, localhost), startBackend(t)
			d := start(t, wiki.Page(page, test.answer), backend, "CA_FILE="+wiki.CAFile(), "TIMEOUT=3s")
			require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
			assert.Empty(t, backend.posts())
			assert.Greater(t, len(wiki.Asked(page)), 1)
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
			assert.Len(t, wiki.Asked(page), len(answers))
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
			require.Len(t, wiki.Asked(page), 2)
			assert.False(t, wiki.Asked(page)[1].At.Before(earliest), "asked again at %s, before %s",
				wiki.Asked(page)[1].At, earliest)
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

func TestAddsOneTodoWhateverTheBackendDoes(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string][]http.HandlerFunc{
		"away for a while":   {wikitest.Status(http.StatusServiceUnavailable, "1"), created},
		"may have added it":  {wikitest.Status(http.StatusGatewayTimeout, ""), created},
		"connection cut":     {wikitest.Cut, created},
		"hanging":            {wikitest.Hang, created},
		"half of a problem":  {halfProblem, created},
		"too many at a time": {wikitest.Status(http.StatusTooManyRequests, "1"), created},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiki, backend := wikitest.Start(t, localhost), startBackend(t, answers...)
			d := start(t, wiki.Page(page, wikitest.Article("/wiki/Train"), wikitest.Article("/wiki/Other")), backend,
				"CA_FILE="+wiki.CAFile())
			require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
			same := post{title: "Read " + wiki.URL + "/wiki/Train", key: "job-1", contentType: "application/json"}
			assert.Equal(t, []post{same, same}, backend.posts())
			assert.Len(t, wiki.Asked(page), 1)
		})
	}
}

func TestEndsWellIfTheJobHasAddedItsTodo(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost), startBackend(t,
		problem422(`{"type": "urn:stateful-k3s:idempotency-key-reused", "status": 422, "detail": "reused"}`))
	d := start(t, wiki.Page(page, wikitest.Article("/wiki/Train")), backend, "CA_FILE="+wiki.CAFile())
	require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
	assert.Contains(t, d.Logged(), `level=INFO msg="already added" job=job-1`)
	assert.Len(t, backend.posts(), 1)
}

func TestSaysWhatTheBackendDoesWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"refuses": {answerProblem(http.StatusBadRequest, `{"status": 400, "detail": "no good"}`),
			"400 Bad Request: no good; BACKEND_URL must be the address of todo-backend"},
		"is something else": {answerProblem(http.StatusNotFound, "404 page not found\n"),
			"404 Not Found: 404 page not found; BACKEND_URL must be"},
		"redirects":       {wikitest.Article("http://localhost/"), "302 Found: ; BACKEND_URL must be"},
		"does not create": {endless, "200 OK: " + strings.Repeat("x", 200) + "; BACKEND_URL must be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wiki, backend := wikitest.Start(t, localhost), startBackend(t, test.answer)
			d := start(t, wiki.Page(page, wikitest.Article("/wiki/Train")), backend, "CA_FILE="+wiki.CAFile())
			require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
			assert.Contains(t, lastLine(d), test.says)
			assert.Len(t, backend.posts(), 1)
		})
	}
}

func TestGivesUpWhileTheBackendIsAway(t *testing.T) {
	t.Parallel()
	wiki := wikitest.Start(t, localhost)
	port := freeport.Find(t)
	d := apptest.Start(t, "ARTICLE_URL="+wiki.Page(page, wikitest.Article("/wiki/Train")),
		"BACKEND_URL=http://localhost:"+port,
		"JOB_NAME=job-1", "CA_FILE="+wiki.CAFile(), "TIMEOUT=2s")
	require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
	assert.Contains(t, lastLine(d), `add the todo \"Read `+wiki.URL+`/wiki/Train\": POST http://localhost:`+
		port+`/todos: dial tcp`)
	assert.Contains(t, lastLine(d), "connection refused (is it up, and may this pod connect to it?); given up after")
}

func TestStopsWhenItIsTold(t *testing.T) {
	t.Parallel()
	wiki, backend := wikitest.Start(t, localhost), startBackend(t)
	d := start(t, wiki.Page(page, wikitest.Hang), backend, "CA_FILE="+wiki.CAFile(), "TIMEOUT=1h")
	d.Eventually(func() bool { return len(wiki.Asked(page)) == 1 })
	assert.Equal(t, 1, d.Stop(syscall.SIGTERM).ExitCode())
	assert.Contains(t, lastLine(d), "told to stop before the todo was added")
}

func TestAuthorities(t *testing.T) {
	t.Parallel()
	system, further := wikitest.Start(t, localhost), wikitest.Start(t, localhost)
	for _, wiki := range []*wikitest.Wiki{system, further} {
		wiki.Page(page, wikitest.Article("/wiki/Train"))
		backend := startBackend(t)
		d := start(t, wiki.URL+page, backend, "SSL_CERT_FILE="+system.CAFile(), "CA_FILE="+further.CAFile())
		require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
		assert.Len(t, backend.posts(), 1)
	}
	d := start(t, further.URL+page, startBackend(t), "SSL_CERT_FILE="+system.CAFile())
	require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
	assert.Contains(t, lastLine(d), "x509: certificate signed by unknown authority")
	assert.Contains(t, lastLine(d), "(CA_FILE can name a file with further authorities)")
	assert.Len(t, further.Asked(page), 1, "of the other process")
	assert.NotContains(t, d.Logged(), "trying again")
}

// The image has no authorities, so the program contains Mozilla's.
func TestAuthoritiesWithoutASystem(t *testing.T) {
	const none = "/none"
	if os.Getenv("SSL_CERT_FILE") != none {
		again := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		again.Env = append(os.Environ(), "SSL_CERT_FILE="+none, "SSL_CERT_DIR="+none)
		output, err := again.CombinedOutput()
		require.NoError(t, err, string(output))
		return
	}
	wiki := wikitest.Start(t, localhost)
	pool, err := authorities.Load(wiki.CAFile())
	require.NoError(t, err)
	verified := 0
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		require.NoError(t, err)
		if root.Constraint == nil && time.Now().Before(certificate.NotAfter) {
			_, err = certificate.Verify(x509.VerifyOptions{Roots: pool})
			assert.NoError(t, err, certificate.Subject)
			verified++
		}
	}
	assert.Greater(t, verified, 50)
	block, _ := pem.Decode(wiki.CA)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	_, err = certificate.Verify(x509.VerifyOptions{Roots: pool})
	assert.NoError(t, err, "the file adds its own")
}

func TestSaysWhichSettingIsWrong(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("no certificate"), 0o600))
	for setting, says := range map[string]string{
		"BACKEND_URL=":                     `BACKEND_URL: \"\" is not an address such as http://todo-backend-svc`,
		"BACKEND_URL=todo-backend-svc:80":  `BACKEND_URL: \"todo-backend-svc:80\" is not an address`,
		"ARTICLE_URL=ftp://wiki.example/":  `ARTICLE_URL: \"ftp://wiki.example/\" is not an address`,
		"ARTICLE_URL=https://:443/":        `ARTICLE_URL: \"https://:443/\" is not an address`,
		"ARTICLE_URL=https://me@wiki.lan/": `ARTICLE_URL: \"https://me@wiki.lan/\" is not an address`,
		"JOB_NAME=":                        "JOB_NAME: is not set; for example: JOB_NAME=daily-todo-1",
		"TIMEOUT=90":                       `TIMEOUT: \"90\" is not a time such as 2m`,
		"TIMEOUT=-1s":                      `TIMEOUT: \"-1s\" is not a time such as 2m`,
		"CA_FILE=" + text:                  "CA_FILE: " + text + " holds no certificate in PEM format",
		"CA_FILE=/none":                    "CA_FILE: open /none: no such file or directory",
	} {
		d := apptest.Start(t, "BACKEND_URL=http://localhost", "ARTICLE_URL=https://localhost", "JOB_NAME=job",
			"TIMEOUT=1s", setting)
		require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
		assert.Contains(t, lastLine(d), says)
	}
}

// start starts daily-todo as a pod of the Job job-1.
func start(t *testing.T, article string, backend *backendServer, settings ...string) *apptest.Process {
	t.Helper()
	return apptest.Start(t, append([]string{"ARTICLE_URL=" + article, "BACKEND_URL=" + backend.URL,
		"JOB_NAME=job-1", "TIMEOUT=20s"}, settings...)...)
}

func lastLine(d *apptest.Process) string {
	log := strings.TrimSuffix(d.Logged(), "\n")
	return log[strings.LastIndex(log, "\n")+1:]
}

// post is a request to POST /todos.
type post struct{ title, key, contentType string }

// backendServer answers each post with the next answer, and repeats the last one.
type backendServer struct {
	*httptest.Server
	mu   sync.Mutex
	sent []post
}

func startBackend(t *testing.T, answers ...http.HandlerFunc) *backendServer {
	t.Helper()
	if len(answers) == 0 {
		answers = []http.HandlerFunc{created}
	}
	b := &backendServer{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var todo struct{ Title string }
		body, err := io.ReadAll(r.Body)
		if assert.NoError(t, err) && assert.Equal(t, "POST /todos", r.Method+" "+r.URL.Path) {
			assert.NoError(t, json.Unmarshal(body, &todo))
		}
		r.Body = io.NopCloser(bytes.NewReader(body)) // an answer may read it
		b.mu.Lock()
		b.sent = append(b.sent, post{todo.Title, r.Header.Get("Idempotency-Key"), r.Header.Get("Content-Type")})
		answer := answers[min(len(b.sent), len(answers))-1]
		b.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(func() {
		b.CloseClientConnections() // hanging ones too
		b.Close()
	})
	return b
}

func (b *backendServer) posts() []post {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent
}

func (b *backendServer) titles() (titles []string) {
	for _, post := range b.posts() {
		titles = append(titles, post.title)
	}
	return titles
}

func created(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "/todos/17")
	w.WriteHeader(http.StatusCreated)
}

func answerProblem(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func problem422(body string) http.HandlerFunc {
	return answerProblem(http.StatusUnprocessableEntity, body)
}

func halfProblem(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100")
	problem422(`{"type": "urn:`)(w, r)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func endless(w http.ResponseWriter, r *http.Request) {
	for chunk := bytes.Repeat([]byte("x"), 1<<16); r.Context().Err() == nil; {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}
