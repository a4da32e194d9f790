package http

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stateful-k3s/stateful-k3s/app/todo-backend/todo"
)

// body is a todo as a client sends it. Fields that it leaves out are nil.
type body struct {
	title     *string
	completed *bool
	order     *todo.Order
}

// content returns a complete todo.
func (b body) content() (content todo.Content, err error) {
	if b.title == nil {
		return content, todo.InvalidError("the title is missing")
	}
	if content.Title, err = todo.ParseTitle(*b.title); err != nil {
		return content, err
	}
	if b.completed != nil {
		content.Completed = *b.completed
	}
	if b.order != nil {
		content.Order = *b.order
	}
	return content, nil
}

// readBody reads a JSON object. It ignores unknown members, because clients send todos back as they got them.
func readBody(w http.ResponseWriter, r *http.Request) (b body, err error) {
	if !isJSON(r.Header.Get("Content-Type")) {
		return b, problem{http.StatusUnsupportedMediaType, "the Content-Type is not application/json in UTF-8"}
	}
	if r.ContentLength > todo.MaxBody {
		return b, tooLarge(w)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, todo.MaxBody))
	if tooMuch := (*http.MaxBytesError)(nil); errors.As(err, &tooMuch) {
		return b, tooLarge(w)
	}
	if err != nil {
		return b, malformed("the body did not arrive")
	}
	if !utf8.Valid(raw) { // the decoder would silently replace what is not
		return b, malformed("the body is not UTF-8")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return b, malformed("the body is not one JSON object")
	}
	return b, b.read(members)
}

func (b *body) read(members map[string]json.RawMessage) error {
	if raw, given := members["title"]; given {
		if raw[0] != '"' {
			return malformed("title is not a string")
		}
		if err := json.Unmarshal(raw, &b.title); err != nil {
			return fmt.Errorf("decode %q: %w", raw, err)
		}
	}
	switch raw, given := members["completed"]; {
	case !given:
	case raw[0] != 't' && raw[0] != 'f':
		return malformed("completed is neither true nor false")
	default:
		b.completed = new(raw[0] == 't')
	}
	switch raw, given := members["order"]; {
	case !given:
	case raw[0] == 'n':
		b.order = new(todo.Order(nil))
	case raw[0] != '-' && (raw[0] < '0' || raw[0] > '9'):
		return malformed("order is neither a number nor null")
	default:
		order, err := strconv.ParseInt(string(raw), 10, 32)
		if err != nil {
			return todo.InvalidError(fmt.Sprintf("order is not an integer from %d to %d", math.MinInt32,
				math.MaxInt32))
		}
		b.order = new(new(int32(order)))
	}
	return nil
}

// isJSON reports whether a Content-Type is JSON in UTF-8.
func isJSON(contentType string) bool {
	kind, parameters, err := mime.ParseMediaType(contentType)
	charset, given := parameters["charset"]
	return err == nil && kind == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// tooLarge closes the connection: to keep it, the server would have to read the rest of the body first.
func tooLarge(w http.ResponseWriter) error {
	w.Header().Set("Connection", "close")
	return problem{http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the body has more than %d bytes", todo.MaxBody)}
}
