package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var refusals = []struct {
	request, body string
	status        int
	detail        string
}{
	{"POST /todos", `{`, 400, "the body is not one JSON object"},
	{"POST /todos", `{"title":"a"} {"title":"b"}`, 400, "the body is not one JSON object"},
	{"POST /todos", `["title"]`, 400, "the body is not one JSON object"},
	{"POST /todos", `null`, 400, "the body is not one JSON object"},
	{"POST /todos", "{\"title\":\"\xff\"}", 400, "the body is not UTF-8"},
	{"POST /todos", `{"title":7}`, 400, "title is not a string"},
	{"POST /todos", `{"title":null}`, 400, "title is not a string"},
	{"POST /todos", `{"title":"a","completed":"true"}`, 400, "completed is neither true nor false"},
	{"POST /todos", `{"title":"a","completed":null}`, 400, "completed is neither true nor false"},
	{"POST /todos", `{"title":"a","order":"1"}`, 400, "order is neither a number nor null"},
	{"POST /todos", `{"title":"a","order":[]}`, 400, "order is neither a number nor null"},
	{"POST /todos", `{"title":"a","order":1.5}`, 422, "order is not an integer from -2147483648 to 2147483647"},
	{"POST /todos", `{"title":"a","order":2147483648}`, 422,
		"order is not an integer from -2147483648 to 2147483647"},
	{"POST /todos", `{"completed":true}`, 422, "the title is missing"},
	{"POST /todos", `{"title":" \t\u00a0\u3000"}`, 422, "the title is empty"},
	{"POST /todos", `{"title":"` + strings.Repeat("é", 141) + `"}`, 422,
		"the title has 141 characters; 140 are allowed"},
	{"POST /todos", `{"title":"a\u0000b"}`, 422,
		"the title contains the control character U+0000; it has to be one line of text"},
	{"POST /todos", `{"title":"a\nb"}`, 422,
		"the title contains the control character U+000A; it has to be one line of text"},
	{"POST /todos", `{"title":"a\ud800b"}`, 422,
		"the title contains U+FFFD, which stands for damaged characters"},
	{"POST /todos", `{"title":"a\u202eb"}`, 422,
		"the title contains U+202E, which changes the direction of text"},
	{"PUT /todos/1", `{"completed":true}`, 422, "the title is missing"},
	{"PUT /todos/2", `{"title":"a"}`, 404, "there is no such todo"},
	{"PATCH /todos/1", `{"title":""}`, 422, "the title is empty"},
	{"PATCH /todos/2", `{"title":"a"}`, 404, "there is no such todo"},
	{"GET /todos/0", "", 404, "there is no such todo"},
	{"GET /todos/01", "", 404, "there is no such todo"},
	{"GET /todos/+1", "", 404, "there is no such todo"},
	{"GET /todos/-1", "", 404, "there is no such todo"},
	{"GET /todos/9223372036854775807", "", 404, "there is no such todo"},
	{"GET /todos/9223372036854775808", "", 404, "there is no such todo"},
	{"GET /todos/x", "", 404, "there is no such todo"},
	{"DELETE /todos/counts", "", 404, "there is no such todo"},
	{"GET /todos?limit=0", "", 400, "limit is not a number from 1 to 1000"},
	{"GET /todos?limit=1001", "", 400, "limit is not a number from 1 to 1000"},
	{"GET /todos?limit=", "", 400, "limit is not a number from 1 to 1000"},
	{"GET /todos?after=x", "", 400, "after is not the id of a todo"},
	{"GET /todos?completed=1", "", 400, "completed is neither true nor false"},
	{"GET /todos?limit=1&limit=2", "", 400, "the query has limit more than once"},
	{"GET /todos?limit=%zz", "", 400, `the query is malformed: invalid URL escape "%zz"`},
	{"DELETE /todos?complete=true", "", 400,
		`the query has unknown parameters; the known ones are ["completed"]`},
	{"DELETE /todos?completed=yes", "", 400, "completed is neither true nor false"},
}

func TestRefusals(t *testing.T) {
	p, _ := start(t)
	made := p.add(`{"title":"it stays"}`)
	for _, test := range refusals {
		method, path, _ := strings.Cut(test.request, " ")
		a := p.send(method, path, test.body)
		what := test.request + " " + test.body
		assert.Equal(t, test.status, a.status, what)
		assert.Equal(t, "application/problem+json", a.header.Get("Content-Type"), what)
		assert.Equal(t, "no-store", a.header.Get("Cache-Control"), what)
		var told struct {
			Title, Detail string
			Status        int
		}
		decode(t, a.body, &told)
		assert.Equal(t, test.detail, told.Detail, what)
		assert.Equal(t, test.status, told.Status, what)
	}
	for path, allow := range map[string]string{"/todos": "DELETE, GET, HEAD, POST",
		"/todos/1": "DELETE, GET, HEAD, PATCH, PUT"} {
		a := p.send("TRACE", path, "")
		assert.Equal(t, http.StatusMethodNotAllowed, a.status)
		assert.Equal(t, allow, a.header.Get("Allow"))
	}
	for _, contentType := range []string{"", "text/plain", "application/json; charset=latin1",
		"application/x-www-form-urlencoded", "application/json, text/plain"} {
		a := p.send("POST", "/todos", `{"title":"a"}`, "Content-Type: "+contentType)
		assert.Equal(t, problem(415, "the Content-Type is not application/json in UTF-8"), a.body, contentType)
	}
	for _, key := range []string{"", strings.Repeat("k", 256), "ключ"} {
		a := p.send("POST", "/todos", `{"title":"a"}`, "Idempotency-Key: "+key)
		assert.Equal(t, problem(400, "Idempotency-Key is not one key of 1 to 255 printable ASCII characters"),
			a.body, key)
	}
	assert.Equal(t, []item{made}, p.list("/todos"))

	made = p.add(`{"title":"`+strings.Repeat("é", 140)+`"}`, "Content-Type: Application/JSON; charset=UTF-8")
	assert.Equal(t, strings.Repeat("é", 140), made.Title)
}

// A body that is too large is refused before it has arrived, whether its length is declared or not.
func TestLargeBodiesAreNotRead(t *testing.T) {
	p, _ := start(t)
	fits := p.add(`{"title":"a","more":"` + strings.Repeat("x", 16<<10-len(`{"title":"a","more":""}`)) + `"}`)
	for what, request := range map[string]string{
		"told":    "Content-Length: 16385\r\n\r\n",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n4001\r\n" + strings.Repeat(" ", 16<<10+1) + "\r\n",
	} {
		conn, err := net.Dial("tcp", "localhost:"+p.Port)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn,
			"POST /todos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+request)
		require.NoError(t, err)
		// The server would wait a minute for the body.
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(40*time.Second)))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, what)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err, what)
		assert.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode, what)
		assert.Equal(t, problem(413, "the body has more than 16384 bytes"), string(body), what)
	}
	assert.Equal(t, []item{fits}, p.list("/todos"))
}

func TestUnusableSettings(t *testing.T) {
	for setting, message := range map[string]string{
		"ALLOWED_ORIGINS=example.com":    `ALLOWED_ORIGINS: \"example.com\" is not an origin such as`,
		"ALLOWED_ORIGINS=https://a.b/c":  `is not an origin`,
		"URL=postgres://u:secret@host:x": "read the address of the database: ",
	} {
		p := startProcess(t, "URL=postgres://u@localhost/d", setting)
		assert.Equal(t, 1, p.Wait().ExitCode(), setting)
		assert.Contains(t, p.Logged(), message)
		assert.NotContains(t, p.Logged(), "secret")
	}
}
