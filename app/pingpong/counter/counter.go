// Package counter counts pings. It gives each ping a number that is unique among all replicas, and counts no
// ping twice, whatever happens to the connection to the database.
package counter

import (
	"context"
	"errors"
)

var (
	// ErrBusy and ErrUnavailable mean that the ping was not counted, and will not be counted later.
	ErrBusy        = errors.New("too many pings are waiting")
	ErrUnavailable = errors.New("the database is away")
	// ErrUnknown means that the ping may have been counted.
	ErrUnknown = errors.New("the database went away while it counted")
)

// Ledger stores the count and, for each replica, the last batch that was added.
type Ledger interface {
	// Open starts a session and ends earlier ones: nothing that they sent can be added any more. It returns the
	// last batch that this replica has added. If Open fails, earlier sessions continue.
	Open(ctx context.Context) (Session, Batch, error)
}

// Session is a replica's right to add to the count.
type Session interface {
	// Add makes the next batch durable and returns the count including it. After an error the session is over,
	// and the batch may have been added.
	Add(ctx context.Context, sequence int64, pings int) (count int64, err error)
	Close()
}

// Batch is a number of pings that were added together.
type Batch struct {
	// Sequence numbers a replica's batches; 0 is none.
	Sequence int64
	// Count is the number of pings of all replicas, including this batch.
	Count int64
}
