// Package counter counts pings. It gives every ping a number that no other one gets, on any replica, and
// counts none twice, whatever happens to the connection on which it was kept.
package counter

import (
	"context"
	"errors"
)

var (
	// ErrBusy and ErrAway say that the ping was not counted, and never will be.
	ErrBusy = errors.New("too many pings are waiting")
	ErrAway = errors.New("the database is away")
	// ErrUnknown says that the ping may have been counted.
	ErrUnknown = errors.New("the database went away while it counted")
)

// Ledger keeps the count and, for each replica, which of its batches was the last that was added.
type Ledger interface {
	// Open begins a session and ends those before it: nothing that they sent can be added any more. It returns
	// the last batch of this replica that was. Any error leaves earlier sessions as they are.
	Open(ctx context.Context) (Session, Batch, error)
}

// Session is a replica's right to add to the count.
type Session interface {
	// Add makes the next batch durable, and returns the count with it. After any error it is unknown whether it
	// was added, and the session is over.
	Add(ctx context.Context, sequence int64, pings int) (count int64, err error)
	Close()
}

// Batch is what was added to the count at once.
type Batch struct {
	// Sequence numbers a replica's batches; 0 is none.
	Sequence int64
	// Count is the number of all pings of all replicas, with this batch.
	Count int64
}
