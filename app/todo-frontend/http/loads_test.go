package http

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
)

// slowBackend begins loads, which end when they are told to.
type slowBackend struct {
	begun atomic.Int64
	end   chan struct{}
}

// load counts one more todo each time.
func (b *slowBackend) load(visit *http.Request, _ backend.Query) (todos, error) {
	loaded := todos{Counts: backend.Counts{Active: int(b.begun.Add(1))}}
	select {
	case <-b.end:
		return loaded, nil
	case <-visit.Context().Done():
		return todos{}, backend.ErrAway
	}
}

// visitor asks, and later tells what came of it.
func visitor(ctx context.Context, load load, query backend.Query) func() (todos, error) {
	var loaded todos
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		loaded, err = load(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody), query)
	}()
	synctest.Wait()
	return func() (todos, error) {
		<-done
		return loaded, err
	}
}

func TestVisitorsWhoWaitShareALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowBackend{end: make(chan struct{})}
		load := shared(b.load)
		for after := range int64(maxLoads) {
			visitor(t.Context(), load, backend.Query{After: after})
		}
		assert.EqualValues(t, maxLoads, b.begun.Load())
		first, leave := context.WithCancel(t.Context())
		waiting := []func() (todos, error){visitor(first, load, backend.Query{})}
		for range 9 {
			waiting = append(waiting, visitor(t.Context(), load, backend.Query{}))
		}
		leave()
		close(b.end)
		for _, answer := range waiting {
			loaded, err := answer()
			assert.NoError(t, err)
			assert.Equal(t, maxLoads+1, loaded.Active)
		}
		assert.EqualValues(t, maxLoads+1, b.begun.Load())
	})
}

func TestNobodySharesALoadThatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowBackend{end: make(chan struct{})}
		load := shared(b.load)
		first := visitor(t.Context(), load, backend.Query{})
		second := visitor(t.Context(), load, backend.Query{})
		close(b.end)
		for want, answer := range []func() (todos, error){first, second} {
			loaded, err := answer()
			assert.NoError(t, err)
			assert.Equal(t, want+1, loaded.Active)
		}
	})
}

func TestVisitorsDoNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowBackend{}
		load := shared(b.load)
		begin := time.Now()
		var all []func() (todos, error)
		for after := range int64(2 * maxLoads) {
			all = append(all, visitor(t.Context(), load, backend.Query{After: after}))
		}
		assert.EqualValues(t, maxLoads, b.begun.Load())
		for _, answer := range all {
			_, err := answer()
			assert.ErrorIs(t, err, backend.ErrAway)
		}
		assert.Equal(t, backend.Timeout, time.Since(begin))
	})
}
