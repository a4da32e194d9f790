// Package batch answers requests that come at the same time together.
package batch

import (
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var sizes = promauto.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "todo_batch_size",
	Help:    "Requests that were answered together.",
	Buckets: prometheus.ExponentialBuckets(1, 2, 11),
}, []string{"request"})

// Batcher answers all questions that wait at once, and meanwhile lets others wait for the next time. So an
// answer is never older than its question, and a lone question waits for nothing.
type Batcher[Q, A any] struct {
	answer func([]Q) ([]A, error)
	size   prometheus.Observer

	mu      sync.Mutex
	next    *batch[Q, A]
	working bool
}

type batch[Q, A any] struct {
	questions []Q
	answers   []A
	err       error
	done      chan struct{}
}

// New returns a batcher with a name for metrics. The function returns answers in the order of the questions;
// one call of it is under way at a time, since larger batches cost less than several at once.
func New[Q, A any](name string, answer func([]Q) ([]A, error)) *Batcher[Q, A] {
	return &Batcher[Q, A]{answer: answer, size: sizes.WithLabelValues(name)}
}

// Ask returns the answer, or the error that the whole batch ended with.
func (b *Batcher[Q, A]) Ask(question Q) (answer A, err error) {
	b.mu.Lock()
	if b.next == nil {
		b.next = &batch[Q, A]{done: make(chan struct{})}
	}
	mine, i := b.next, len(b.next.questions)
	mine.questions = append(mine.questions, question)
	if !b.working {
		b.working = true
		go b.work()
	}
	b.mu.Unlock()
	<-mine.done
	if mine.err != nil {
		return answer, mine.err
	}
	return mine.answers[i], nil
}

// Waiting is how many questions wait for the next batch.
func (b *Batcher[Q, A]) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		return 0
	}
	return len(b.next.questions)
}

// work answers batches until nobody waits.
func (b *Batcher[Q, A]) work() {
	for {
		runtime.Gosched() // questions that have arrived already join
		b.mu.Lock()
		taken := b.next
		b.next = nil
		if taken == nil {
			b.working = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		b.size.Observe(float64(len(taken.questions)))
		taken.answers, taken.err = b.answer(taken.questions)
		close(taken.done)
	}
}
