// Package todo says what a todo is, and what can be done with one.
package todo

import "errors"

// Todo is a thing to do.
type Todo struct {
	// ID is positive, and greater than that of every todo that was added before.
	ID int64
	Content
}

// Content is what clients say of a todo.
type Content struct {
	Title     Title
	Completed bool
	// Order is where clients want to see it, if they said so.
	Order *int32
}

// Change is what becomes different; nil stays as it is.
type Change struct {
	Title     *Title
	Completed *bool
	Order     *Order
}

// Order is a new order, nil for none.
type Order = *int32

// Page is a part of the list of todos, which begins with the newest.
type Page struct {
	// After is the ID behind which it begins, or 0 for the beginning of the list.
	After int64
	// Limit is how many todos it has at most.
	Limit int
	Kind  Kind
}

// Kind is which todos are meant.
type Kind int

// The kinds of todos.
const (
	All Kind = iota
	Active
	Completed
)

// CountLimit is up to which todos are counted.
const CountLimit = 10_000

// Counts is how many todos there are, or CountLimit + 1 if there are more.
type Counts struct{ Active, Completed int }

// Invalid says why something cannot be a todo, or a part of one.
type Invalid string

func (i Invalid) Error() string { return string(i) }

var (
	// ErrNone says that there is no such todo.
	ErrNone = errors.New("there is no such todo")
	// ErrKeyReused says that an idempotency key was used for another todo before.
	ErrKeyReused = errors.New("the idempotency key was used for another todo")
	// ErrAway says that nothing was changed, and never will be.
	ErrAway = errors.New("the database is away")
	// ErrUnknown says that the change may have been made.
	ErrUnknown = errors.New("the database went away while it stored the change")
)
