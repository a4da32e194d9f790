package counter

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// queueLength is how many pings may wait. It is also the largest batch.
	queueLength = 1024
	// maxDoubt is how long pings wait to learn whether they were counted.
	maxDoubt = 30 * time.Second
	// maxAttempts is how often a batch is sent if the ledger opens sessions but refuses the batch.
	maxAttempts = 3

	minPause, maxPause = 20 * time.Millisecond, time.Second
)

// Committer implements group commit: it adds all waiting pings to the ledger as one batch, and then takes the
// pings that have arrived meanwhile.
type Committer struct {
	ledger Ledger
	queue  chan *ping
	away   atomic.Bool
}

type ping struct {
	ctx    context.Context
	answer chan answer
}

type answer struct {
	number int64
	err    error
}

// NewCommitter returns a committer that refuses pings until Run has opened the ledger.
func NewCommitter(ledger Ledger) *Committer {
	c := &Committer{ledger: ledger, queue: make(chan *ping, queueLength)}
	c.away.Store(true)
	return c
}

// Ping counts a ping and returns how many came before it. Pings are counted in the order of arrival. Its
// error is ErrBusy, ErrUnavailable, ErrUnknown or ctx.Err(); if ctx ends while the ping waits, it is not
// counted.
func (c *Committer) Ping(ctx context.Context) (int64, error) {
	if c.away.Load() {
		return 0, ErrUnavailable
	}
	p := &ping{ctx: ctx, answer: make(chan answer, 1)}
	select {
	case c.queue <- p:
	default:
		return 0, ErrBusy
	}
	select {
	case a := <-p.answer:
		return a.number, a.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Away reports whether pings are refused because the ledger cannot be opened.
func (c *Committer) Away() bool { return c.away.Load() }

// Waiting returns the number of pings that wait to be sent to the ledger.
func (c *Committer) Waiting() int { return len(c.queue) }

// Run counts pings until ctx ends, and then refuses pings that still wait. It logs the reason of a failure
// when it changes, not with each attempt.
func (c *Committer) Run(ctx context.Context) {
	var b batch
	pause, reason := minPause, ""
	for ctx.Err() == nil {
		counted, err := c.count(ctx, &b)
		if ctx.Err() != nil {
			break
		}
		if counted {
			pause, reason = minPause, ""
		}
		if err.Error() != reason {
			slog.Warn("not counting", "error", err)
			reason = err.Error()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxPause)
	}
	c.refuse()
	b.fail(ErrUnknown)
}

// count opens the ledger and adds batches until an error. The last batch stays in b, because only the next
// session finds out whether it was added.
func (c *Committer) count(ctx context.Context, b *batch) (counted bool, err error) {
	session, last, err := c.ledger.Open(ctx)
	if err != nil {
		c.refuse()
		if time.Since(b.since) > maxDoubt {
			b.fail(ErrUnknown)
		}
		return false, err
	}
	defer session.Close()
	if b.sequence == last.Sequence {
		b.succeed(last.Count)
	} else if b.attempts >= maxAttempts {
		b.fail(ErrUnavailable)
	}
	if c.away.Swap(false) {
		slog.Info("counting", "after batch", last.Sequence)
	}
	for {
		if err := c.fill(ctx, b); err != nil {
			return counted, err
		}
		b.sequence = last.Sequence + 1
		b.attempts++
		count, err := session.Add(ctx, b.sequence, len(b.pings))
		if err != nil {
			return counted, err
		}
		last = Batch{b.sequence, count}
		b.succeed(count)
		counted = true
	}
}

// fill waits for at least one ping. A batch that was not added keeps its pings, unless their clients have
// given up.
func (c *Committer) fill(ctx context.Context, b *batch) error {
	again := b.pings
	b.pings = b.pings[:0]
	for _, p := range again {
		b.take(p)
	}
	for len(b.pings) == 0 {
		b.attempts = 0
		select {
		case p := <-c.queue:
			b.take(p)
		case <-ctx.Done():
			return ctx.Err()
		}
		for range len(c.queue) {
			b.take(<-c.queue)
		}
		b.since = time.Now()
	}
	return nil
}

// refuse answers waiting pings with ErrUnavailable.
func (c *Committer) refuse() {
	c.away.Store(true)
	for range len(c.queue) {
		(<-c.queue).answer <- answer{err: ErrUnavailable}
	}
}
