package postgres

import (
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var batchSizes = promauto.NewHistogramVec(prometheus.HistogramOpts{
	Name:    "todo_batch_requests",
	Help:    "Requests that were answered by one statement.",
	Buckets: prometheus.ExponentialBuckets(1, 2, 11),
}, []string{"statement"})

// batcher answers all requests that wait by one statement, and meanwhile lets others wait for the next one. So an answer
// is never older than its request, and a lone request waits for nothing.
type batcher[Q, A any] struct {
	answer func([]Q) ([]A, error)
	size   prometheus.Observer

	mu   sync.Mutex
	next *batch[Q, A]
	// free is how many more statements may be under way at once.
	free int
}

type batch[Q, A any] struct {
	questions []Q
	answers   []A
	err       error
	done      chan struct{}
}

// newBatcher needs a function that returns answers in the order of the questions.
func newBatcher[Q, A any](name string, statements int, answer func([]Q) ([]A, error)) *batcher[Q, A] {
	return &batcher[Q, A]{answer: answer, size: batchSizes.WithLabelValues(name), free: statements}
}

func (b *batcher[Q, A]) ask(question Q) (answer A, err error) {
	b.mu.Lock()
	if b.next == nil {
		b.next = &batch[Q, A]{done: make(chan struct{})}
	}
	mine, i := b.next, len(b.next.questions)
	mine.questions = append(mine.questions, question)
	if b.free > 0 {
		b.free--
		go b.work()
	}
	b.mu.Unlock()
	<-mine.done
	if mine.err != nil {
		return answer, mine.err
	}
	return mine.answers[i], nil
}

// work answers batches until nobody waits.
func (b *batcher[Q, A]) work() {
	for {
		runtime.Gosched() // requests that have arrived already join
		b.mu.Lock()
		taken := b.next
		b.next = nil
		if taken == nil {
			b.free++
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		b.size.Observe(float64(len(taken.questions)))
		taken.answers, taken.err = b.answer(taken.questions)
		close(taken.done)
	}
}
