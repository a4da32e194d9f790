package counter

import "time"

// batch holds the pings that are added together.
type batch struct {
	pings    []*ping
	sequence int64
	attempts int
	// since is the time of the first attempt.
	since time.Time
}

// take adds a ping unless its client has given up.
func (b *batch) take(p *ping) {
	if p.ctx.Err() == nil {
		b.pings = append(b.pings, p)
	}
}

// succeed hands out the numbers, in order. The count includes this batch.
func (b *batch) succeed(count int64) {
	first := count - int64(len(b.pings))
	for i, p := range b.pings {
		p.answer <- answer{number: first + int64(i)}
	}
	b.clear()
}

func (b *batch) fail(err error) {
	for _, p := range b.pings {
		p.answer <- answer{err: err}
	}
	b.clear()
}

func (b *batch) clear() {
	clear(b.pings) // for the garbage collector
	b.pings = b.pings[:0]
}
