package http

import (
	"context"
	"fmt"
	"net/http"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
)

// maxLoads are under way at once. With more, fewer visitors would share each.
const maxLoads = 2

// todos are what a page shows of them.
type todos struct {
	backend.List
	backend.Counts
}

// load asks the backend for the todos of a page.
type load func(visit *http.Request, query backend.Query) (todos, error)

func loadFrom(b *backend.Backend) load {
	return func(visit *http.Request, query backend.Query) (loaded todos, err error) {
		var both errgroup.Group
		both.Go(func() (err error) {
			loaded.List, err = b.List(visit, query)
			return err
		})
		both.Go(func() (err error) {
			loaded.Counts, err = b.Counts(visit)
			return err
		})
		err = both.Wait()
		return loaded, err
	}
}

// shared loads once for all visitors who ask for the same before that begins, so that none gets less than
// there was when he asked.
func shared(next load) load {
	var group singleflight.Group
	loading := semaphore.NewWeighted(maxLoads)
	return func(visit *http.Request, query backend.Query) (todos, error) {
		key := fmt.Sprint(query)
		loaded, err, _ := group.Do(key, func() (any, error) {
			// Others wait for it, too, when this visitor has gone.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(visit.Context()), backend.Timeout)
			defer cancel()
			if loading.Acquire(ctx, 1) != nil {
				return todos{}, backend.ErrAway
			}
			defer loading.Release(1)
			group.Forget(key)
			return next(visit.WithContext(ctx), query)
		})
		return loaded.(todos), err
	}
}
