package http

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// item is a todo as clients see it.
type item struct {
	ID        int64      `json:"id"`
	Title     todo.Title `json:"title"`
	Completed bool       `json:"completed"`
	Order     todo.Order `json:"order"`
	URL       string     `json:"url"`
}

func newItem(base string, t todo.Todo) item {
	return item{t.ID, t.Title, t.Completed, t.Order, base + "/todos/" + strconv.FormatInt(t.ID, 10)}
}

// encode returns JSON without the escapes that only HTML needs. It copies the buffer, which may be twice as
// large: answers stay in memory while slow clients read them.
func encode(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.Clone(buffer.Bytes()), err
}

// answer sends JSON with an entity tag, or 304 if the client's copy is current.
func answer(w http.ResponseWriter, r *http.Request, value any) error {
	body, err := encode(value)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	w.Header().Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Type", "application/json")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	return nil
}

// hosts matches a name or an address with an optional port. It is at most as long as the longest DNS name
// with a port, because a list repeats the host in the URL of every todo.
var hosts = regexp.MustCompile(`^[-._:\[\]0-9A-Za-z]{1,259}$`)

// baseURL is the address under which the client sees this server, as far as the request or a proxy tells.
func baseURL(r *http.Request) (string, error) {
	host, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Host"), ",")
	if !hosts.MatchString(host) {
		host = r.Host
	}
	if !hosts.MatchString(host) {
		return "", malformed("the request has no valid Host")
	}
	if r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https://" + host, nil
	}
	return "http://" + host, nil
}
