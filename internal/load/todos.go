package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// TodoAccount has the outcomes of clients that add todos.
type TodoAccount struct {
	// Added are the titles of acknowledged todos, by ID.
	Added map[int64]string
	// Uncertain are titles that may have been added: their clients were stopped before they knew.
	Uncertain []string
	// Read counts the todos that were read again.
	Read int
	Outcomes
}

// Todos are clients that add todos and read each again. They repeat a request that was not acknowledged, with
// the same Idempotency-Key.
type Todos struct {
	clients
	prefix string

	mu      sync.Mutex
	account TodoAccount
}

// StartTodos starts clients, which send at most perSecond requests a second together; 0 means no limit. All
// titles start with the prefix, which consists of letters and digits.
func StartTodos(clients, perSecond int, prefix string, dial Dial) *Todos {
	t := &Todos{prefix: prefix, account: TodoAccount{Added: map[int64]string{}}}
	t.start(clients, perSecond, dial, t.work)
	return t
}

// Stop returns when every client has its last answer.
func (t *Todos) Stop() TodoAccount {
	t.wait()
	return t.account
}

// Acknowledged returns how many todos were added so far.
func (t *Todos) Acknowledged() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.account.Added)
}

func (t *Todos) work(ctx context.Context, c *Client, number int) {
	for n := 1; t.next(ctx); n++ {
		title := fmt.Sprintf("%s-%d-%d", t.prefix, number, n)
		if id := t.add(ctx, c, title); id != 0 && t.next(ctx) {
			t.read(ctx, c, id, title)
		}
		if n%(reconnectAfter/2) == 0 {
			c.Close()
		}
	}
}

type todo struct {
	ID    int64
	Title string
}

// add returns the ID of a new todo, or 0 if ctx ended before one was acknowledged.
func (t *Todos) add(ctx context.Context, c *Client, title string) (id int64) {
	request := Request{
		Method: http.MethodPost, Path: "/todos",
		Header: "Content-Type: application/json\r\nIdempotency-Key: " + title + "\r\n",
		Body:   []byte(`{"title": "` + title + `"}`),
	}
	uncertain := false
	for ctx.Err() == nil {
		var added todo
		status, body, err := c.Do(context.WithoutCancel(ctx), request)
		if err == nil && status == http.StatusCreated && json.Unmarshal(body, &added) == nil &&
			added.Title == title && added.ID > 0 {
			t.record(func(a *TodoAccount) { a.Added[added.ID] = title })
			return added.ID
		}
		uncertain = uncertain || !errors.Is(err, ErrNotSent) && status != http.StatusServiceUnavailable
		t.record(func(a *TodoAccount) { a.add(status, body, err) })
		c.Close()
		time.Sleep(pause)
	}
	if uncertain {
		t.record(func(a *TodoAccount) { a.Uncertain = append(a.Uncertain, title) })
	}
	return 0
}

func (t *Todos) read(ctx context.Context, c *Client, id int64, title string) {
	var found todo
	status, body, err := c.Get(context.WithoutCancel(ctx), fmt.Sprintf("/todos/%d", id))
	if err == nil && status == http.StatusOK && json.Unmarshal(body, &found) == nil &&
		found == (todo{id, title}) {
		t.record(func(a *TodoAccount) { a.Read++ })
		return
	}
	t.record(func(a *TodoAccount) { a.add(status, body, err) })
	c.Close()
	time.Sleep(pause)
}

func (t *Todos) record(change func(*TodoAccount)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.account)
}

// Check compares the account with the titles of all todos that have the clients' prefix, by ID.
func (a TodoAccount) Check(stored map[int64]string) error {
	faults := a.faults()
	lost := 0
	for id, title := range a.Added {
		if stored[id] != title {
			lost++
		}
	}
	if lost > 0 {
		faults = append(faults, fmt.Errorf("%d todos were acknowledged and are lost", lost))
	}
	uncertain := map[string]bool{}
	for _, title := range a.Uncertain {
		uncertain[title] = true
	}
	for id, title := range stored {
		if a.Added[id] != title && !uncertain[title] {
			faults = append(faults, fmt.Errorf("todo %d, %s, was added without being acknowledged", id, title))
		}
		delete(uncertain, title)
	}
	return errors.Join(faults...)
}

func (a TodoAccount) String() string {
	return fmt.Sprintf("%d added, %d read, %d uncertain, %s", len(a.Added), a.Read, len(a.Uncertain),
		&a.Outcomes)
}
