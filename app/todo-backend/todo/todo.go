// Package todo defines a todo, its limits, and the errors of storing one.
package todo

import (
	"errors"
	"time"
)

const (
	// DefaultPage and MaxPage are how many todos a page has if a request asks for no number, and at most.
	DefaultPage = 100
	MaxPage     = 1000
	// MaxBody is the size of a request's body in bytes.
	MaxBody = 16 << 10
	// Timeout is how long the backend takes at most to answer. Its clients wait longer.
	Timeout = 8 * time.Second
	// CountLimit is how far todos are counted.
	CountLimit = 10_000
	// KeyReused is the type of the backend's problem for ErrKeyReused (RFC 9457).
	KeyReused = "urn:stateful-k3s:idempotency-key-reused"
)

// Todo is a stored todo.
type Todo struct {
	// ID is positive. Newer todos have greater IDs.
	ID int64
	Content
}

// Content is everything about a todo that clients choose.
type Content struct {
	Title     Title
	Completed bool
	Order     Order
}

// Order is the position that clients give a todo; nil is none.
type Order = *int32

// Change is a partial update. Nil fields stay as they are.
type Change struct {
	Title     *Title
	Completed *bool
	Order     *Order
}

// Page is a part of the list of todos, newest first.
type Page struct {
	// After is the ID that the page starts after; 0 is the start of the list.
	After int64
	Limit int
	Kind  Kind
}

// Kind filters todos.
type Kind int

// The kinds of todos.
const (
	All Kind = iota
	Active
	Completed
)

// Counts is the number of todos, or CountLimit + 1 if there are more.
type Counts struct {
	Active    int `json:"active"`
	Completed int `json:"completed"`
}

// InvalidError says why a value is not acceptable in a todo.
type InvalidError string

func (e InvalidError) Error() string { return string(e) }

var (
	// ErrNotFound means that there is no such todo.
	ErrNotFound = errors.New("there is no such todo")
	// ErrKeyReused means that another todo was added with this idempotency key.
	ErrKeyReused = errors.New("the idempotency key was used for another todo")
	// ErrUnavailable means that nothing was changed, and that nothing will be changed later.
	ErrUnavailable = errors.New("the database is away")
	// ErrUnknown means that the change may have been made.
	ErrUnknown = errors.New("the database went away while it stored the change")
)
