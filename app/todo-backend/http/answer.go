package http

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// encodedSize is about how many bytes a todo takes.
const encodedSize = 200

func encodeTodo(base string, t todo.Todo) []byte {
	return appendTodo(make([]byte, 0, encodedSize), base, t)
}

func encodeTodos(base string, list []todo.Todo) []byte {
	b := append(make([]byte, 0, encodedSize*(1+len(list))), '[')
	for i, t := range list {
		if i > 0 {
			b = append(b, ",\n"...)
		}
		b = appendTodo(b, base, t)
	}
	return append(b, ']')
}

// titles have no control characters, so that only these two have to be escaped in JSON.
var titles = strings.NewReplacer(`"`, `\"`, `\`, `\\`)

func appendTodo(b []byte, base string, t todo.Todo) []byte {
	b = append(b, `{"id": `...)
	b = strconv.AppendInt(b, t.ID, 10)
	b = append(b, `, "title": "`...)
	b = append(b, titles.Replace(string(t.Title))...)
	b = append(b, `", "completed": `...)
	b = strconv.AppendBool(b, t.Completed)
	b = append(b, `, "order": `...)
	if t.Order == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, int64(*t.Order), 10)
	}
	b = append(b, `, "url": "`...)
	b = append(append(b, base...), "/todos/"...)
	b = strconv.AppendInt(b, t.ID, 10)
	return append(b, `"}`...)
}

func todoURL(base string, id int64) string {
	return base + "/todos/" + strconv.FormatInt(id, 10)
}

// baseURL is under which address the client sees this server, as far as it or a proxy tells.
func baseURL(r *http.Request) (string, error) {
	host, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ",")
	if !isHost(host) {
		host = r.Host
	}
	if !isHost(host) {
		return "", malformed("the request does not say to which host it goes")
	}
	if r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https://" + host, nil
	}
	return "http://" + host, nil
}

// longestHost is a name of 253 characters with a port. The host stands in the address of every todo of a
// list.
const longestHost = 259

// isHost says whether it is a name or an address, and perhaps a port: nothing that could mean something in
// JSON or headers.
func isHost(host string) bool {
	return host != "" && len(host) <= longestHost && !strings.ContainsFunc(host, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') &&
			!strings.ContainsRune("-._:[]", c)
	})
}

// document is JSON with its entity tag.
type document struct {
	json []byte
	tag  string
}

func newDocument(json []byte) document {
	sum := sha256.Sum256(json)
	return document{json, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

// answer sends the document, or 304 if the client has it already.
func (d document) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", d.tag)
	w.Header().Set("Cache-Control", "no-cache")
	if matches(r.Header.Values("If-None-Match"), d.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(d.json)))
	_, _ = w.Write(d.json) // the client may have gone
}

// matches says whether If-None-Match has the tag. Tags of this server contain no commas.
func matches(ifNoneMatch []string, tag string) bool {
	for _, line := range ifNoneMatch {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
			if candidate == tag || candidate == "*" {
				return true
			}
		}
	}
	return false
}
