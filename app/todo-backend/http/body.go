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

const largestBody = 16 << 10 // bytes

// body is what a client sent of a todo, nil what it did not mention.
type body struct {
	title     *string
	completed *bool
	order     *todo.Order
}

// content is that of a whole todo.
func (b body) content() (content todo.Content, err error) {
	if b.title == nil {
		return content, todo.Invalid("the title is missing")
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

// readBody reads a JSON object. Members that it does not know are ignored, since clients send a todo back as
// they got it.
func readBody(w http.ResponseWriter, r *http.Request) (b body, err error) {
	if !isJSON(r.Header.Get("Content-Type")) {
		return b, problem{http.StatusUnsupportedMediaType, "the Content-Type is not application/json in UTF-8"}
	}
	if r.ContentLength > largestBody {
		return b, tooLarge(w)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestBody))
	if tooMuch := (*http.MaxBytesError)(nil); errors.As(err, &tooMuch) {
		return b, tooLarge(w)
	}
	if err != nil {
		return b, malformed("the body did not arrive")
	}
	if !utf8.Valid(raw) { // which the decoder would replace without a word
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
			return todo.Invalid(fmt.Sprintf("order is no integer from %d to %d", math.MinInt32, math.MaxInt32))
		}
		b.order = new(new(int32(order)))
	}
	return nil
}

// isJSON says whether a Content-Type is JSON in UTF-8, which has no other parameter that means anything.
func isJSON(contentType string) bool {
	kind, parameters, err := mime.ParseMediaType(contentType)
	charset, given := parameters["charset"]
	return err == nil && kind == "application/json" && (!given || strings.EqualFold(charset, "utf-8"))
}

// tooLarge gives up the connection: to keep it, the server would wait for the rest of the body before it
// answers.
func tooLarge(w http.ResponseWriter) error {
	w.Header().Set("Connection", "close")
	return problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", largestBody)}
}
