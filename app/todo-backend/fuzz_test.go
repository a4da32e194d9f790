package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	todohttp "github.com/stateful-k3s/stateful-k3s/app/todo-backend/http"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todotest"
)

// The table accepts the same titles as the app.
func FuzzTitle(f *testing.F) {
	_, db, _ := todotest.Open(f)
	for _, title := range []string{
		"", "a", " a", "a\u3000", "a\nb", "a\u0085b", "\u2066", "a\u202e", "\u200b \u200d", "🙂",
		"👩\u200d🚀", "שלום\u200f", "a\ufffdb",
		strings.Repeat("é", 140), strings.Repeat("é", 141), "\x7f", "\u00a0", "\u2007x", "\u205fx\u1680",
	} {
		f.Add(title)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := todo.ParseTitle(text)
		if err == nil {
			again, err := todo.ParseTitle(string(parsed))
			require.NoError(t, err)
			require.Equal(t, parsed, again)
		}
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			assert.Error(t, err, "%q is no text for Postgres", text)
			return
		}
		conn, acquireErr := db.Acquire(t.Context())
		require.NoError(t, acquireErr)
		defer conn.Release()
		_, insertErr := conn.Exec(t.Context(), `INSERT INTO todo (title, completed) VALUES ($1, false)`, text)
		assert.Equal(t, err == nil && string(parsed) == text, insertErr == nil, "%q: %v, %v", text, err, insertErr)
	})
}

// Table and app accept the same characters at every position. Beyond the last are ideographs and unassigned
// code points.
func TestTableHasTheRulesOfTitles(t *testing.T) {
	_, _, server := todotest.Open(t)
	const last = 0x1FFFF
	rules := server.Ask(`SELECT string_agg(pg_get_expr(conbin, conrelid), ' AND ')
		FROM pg_constraint WHERE conrelid = 'todo'::regclass AND contype = 'c'`)
	for _, around := range [][2]string{{"a", "b"}, {"", "b"}, {"a", ""}, {"", ""}} {
		refused := []int{}
		for r := rune(1); r <= last; r++ {
			text := around[0] + string(r) + around[1]
			title, err := todo.ParseTitle(text)
			if utf8.ValidRune(r) && (err != nil || string(title) != text) {
				refused = append(refused, int(r))
			}
		}
		var byTable []int
		decode(t, server.Ask(`SELECT json_agg(code ORDER BY code)::text FROM (
			SELECT code, '`+around[0]+`' || chr(code) || '`+around[1]+`' AS title FROM generate_series(1, `+
			strconv.Itoa(last)+`) code
			WHERE code NOT BETWEEN 55296 AND 57343) titles WHERE NOT (`+rules+`)`), &byTable)
		assert.Equal(t, refused, byTable)
	}
}

// records counts log records, and records that are not one line.
type records struct {
	lines, forged int
}

func (r *records) Write(record []byte) (int, error) {
	r.lines++
	if bytes.Count(record, []byte("\n")) != 1 || !bytes.HasSuffix(record, []byte("\n")) ||
		!bytes.HasPrefix(record, []byte("time=")) {
		r.forged++
	}
	return len(record), nil
}

// seedRequests adds requests of all kinds.
func seedRequests(f *testing.F) {
	f.Helper()
	for _, body := range []string{
		`{"title":"walk the dog"}`, `{"title":"a","completed":true,"order":-1}`, `{"title":"\ud800"}`,
		`{"title":"\u0000\u202e"}`, `{"order":null}`,
		`{"order":1e400}`, `{"order":-0}`, `{"completed":"yes"}`, `[]`, `null`, ``, `{"title":"a"}{}`,
		"{\"title\":\"\xff\"}", `{"title":"\"\\"}`,
	} {
		f.Add(byte(0), "", "", "application/json", "", "", "", "", "", []byte(body))
		f.Add(byte(1), "1", "", "application/json; charset=utf-8", "key", "", "http://a", "id", "a.example, b",
			[]byte(body))
	}
	for _, query := range []string{"limit=5", "after=9223372036854775807&completed=false", "limit=-1",
		"limit=%zz", "completed=", "x=1"} {
		f.Add(byte(2), "", query, "", "", `W/"a", *`, "null", "\x00", "[::1]:80", []byte(nil))
		f.Add(byte(3), "", query, "", "", "", "", "", "", []byte(nil))
	}
	for _, id := range []string{"1", "0", "-1", "01", "+1", "9223372036854775808", "counts", "1/2", "..", "%2f",
		"\u0661"} {
		f.Add(byte(4), id, "", "text/plain", "\x80", "*", "", "", "", []byte(nil))
	}
	f.Add(byte(1), "./1", "", "application/json", "", "", "", "", "", []byte(`{"title":"a"}`))
}

// To any request the answer is JSON or a 4xx problem, and each todo that was sent is logged in one line.
func FuzzRequest(f *testing.F) {
	store, _, _ := todotest.Open(f)
	mux := http.NewServeMux()
	todohttp.Register(mux, store)
	handler := web.Handler(todohttp.Origins{"*"}.Allow(mux))
	seedRequests(f)
	methods := []string{"POST", "PUT", "GET", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"}

	f.Fuzz(func(t *testing.T, method byte, id, query, contentType, key, ifNoneMatch, origin, requestID,
		forwardedHost string, body []byte) {
		log := &records{}
		slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
		path := "/todos"
		if id != "" {
			path += "/" + id
		}
		target, err := url.ParseRequestURI((&url.URL{Path: path, RawQuery: query}).RequestURI())
		if err != nil {
			return // a server refuses it before any handler sees it
		}
		request := &http.Request{
			Method: methods[int(method)%len(methods)], Host: "localhost", URL: target,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
			Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		}
		for name, value := range map[string]string{
			"Content-Type": contentType, "Idempotency-Key": key, "If-None-Match": ifNoneMatch, "Origin": origin,
			"X-Request-Id":     requestID,
			"X-Forwarded-Host": forwardedHost, "Access-Control-Request-Method": key,
		} {
			if value != "" {
				request.Header.Set(name, value)
			}
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		checkAnswer(t, request, recorder.Result(), recorder.Body.Bytes(), log, store)
	})
}

func checkAnswer(t *testing.T, request *http.Request, answer *http.Response, body []byte, log *records,
	store *postgres.Store) {
	t.Helper()
	for name, values := range answer.Header {
		assert.False(t, strings.ContainsFunc(strings.Join(values, ""), unicode.IsControl), "%s: %q", name, values)
	}
	// The mux redirects to the path without dots.
	redirected := answer.StatusCode == http.StatusTemporaryRedirect
	sends := !redirected && slices.Contains([]string{"POST /todos", "PUT /todos/{id}", "PATCH /todos/{id}"},
		request.Pattern)
	if sends {
		assert.Equal(t, 1, log.lines)
	}
	assert.Zero(t, log.forged)
	switch status := answer.StatusCode; {
	case status == http.StatusNoContent, status == http.StatusNotModified:
		assert.Empty(t, body)
	case redirected:
	case status == http.StatusOK || status == http.StatusCreated:
		assert.Equal(t, "application/json", answer.Header.Get("Content-Type"))
		assert.True(t, json.Valid(body), "%q", body)
		if sends {
			checkStored(t, request, body, store)
		}
		if request.Pattern == "GET /todos/{id}" {
			assert.Contains(t, string(body), `/todos/`+request.PathValue("id")+`"`)
		}
	default:
		assert.Less(t, status, 500)
		assert.GreaterOrEqual(t, status, 400)
		assert.Equal(t, "application/problem+json", answer.Header.Get("Content-Type"))
		var problem struct {
			Type, Title, Detail string
			Status              int
		}
		decode(t, string(body), &problem)
		assert.Equal(t, status, problem.Status)
	}
}

func checkStored(t *testing.T, request *http.Request, body []byte, store *postgres.Store) {
	t.Helper()
	var i item
	decode(t, string(body), &i)
	title, err := todo.ParseTitle(i.Title)
	require.NoError(t, err)
	assert.Equal(t, string(title), i.Title)
	if request.Pattern == "POST /todos" && request.Header.Get("Idempotency-Key") != "" {
		return // the answer shows the todo as it was, and it may be gone
	}
	stored, err := store.Get(t.Context(), i.ID)
	require.NoError(t, err)
	assert.Equal(t, title, stored.Title)
}
