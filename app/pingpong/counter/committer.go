package counter

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// queueLength is how many pings may wait, which is also the largest batch.
	queueLength = 1024
	// doubt is how long pings wait to learn whether they were counted.
	doubt = 30 * time.Second
	// attempts is how often a batch is sent that the ledger refuses while it opens new sessions.
	attempts = 3

	shortestPause, longestPause = 20 * time.Millisecond, time.Second
)

// Committer adds all pings that are waiting to the ledger at once, as one batch, and then takes those that
// came meanwhile.
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

// NewCommitter returns a committer that is away until Run has opened the ledger.
func NewCommitter(ledger Ledger) *Committer {
	c := &Committer{ledger: ledger, queue: make(chan *ping, queueLength)}
	c.away.Store(true)
	return c
}

// Ping counts one ping and returns how many came before it. Pings are counted in the order in which they
// come. Its error is ErrBusy, ErrAway, ErrUnknown, or that of ctx: one that ends while the ping waits leaves
// it uncounted.
func (c *Committer) Ping(ctx context.Context) (int64, error) {
	if c.away.Load() {
		return 0, ErrAway
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

// Away says whether pings are refused because the ledger cannot be opened.
func (c *Committer) Away() bool { return c.away.Load() }

// Waiting is how many pings wait to be sent to the ledger.
func (c *Committer) Waiting() int { return len(c.queue) }

// Run counts pings until ctx ends. Those that wait then are refused. Why it cannot count is logged when that
// begins or changes, not with each attempt.
func (c *Committer) Run(ctx context.Context) {
	var b batch
	pause, trouble := shortestPause, ""
	for ctx.Err() == nil {
		counted, err := c.count(ctx, &b)
		if ctx.Err() != nil {
			break
		}
		if counted {
			pause, trouble = shortestPause, ""
		}
		if err.Error() != trouble {
			slog.Warn("not counting", "error", err)
			trouble = err.Error()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
	c.refuse()
	b.fail(ErrUnknown)
}

// count opens the ledger and adds batches until something fails. The batch of which it is then unknown
// whether it was added stays in b for the next session, which finds out.
func (c *Committer) count(ctx context.Context, b *batch) (counted bool, err error) {
	session, last, err := c.ledger.Open(ctx)
	if err != nil {
		c.refuse()
		if time.Since(b.since) > doubt {
			b.fail(ErrUnknown)
		}
		return false, err
	}
	defer session.Close()
	if b.sequence == last.Sequence {
		b.succeed(last.Count)
	} else if b.attempts >= attempts {
		b.fail(ErrAway)
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

// fill waits for at least one ping. A batch that was not added keeps the pings it has, but for those given
// up.
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

// refuse answers the pings that wait.
func (c *Committer) refuse() {
	c.away.Store(true)
	for range len(c.queue) {
		(<-c.queue).answer <- answer{err: ErrAway}
	}
}
