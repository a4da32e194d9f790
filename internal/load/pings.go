package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// reconnectAfter this many requests, so that the clients spread over all pods of a Service again and again.
	reconnectAfter = 50
	// pause after a request that was not answered with a number.
	pause = 20 * time.Millisecond
)

// Account is what became of the pings that clients sent.
type Account struct {
	// Numbers were handed out.
	Numbers []int64
	// NotSent, Refused (503) and Unanswered count the others. Only the last may have been counted.
	NotSent, Refused, Unanswered int
	// Faults are answers that the app must not give, and the last reasons why there was none.
	Faults, Reasons []string
}

// Pings is clients that send GET /pingpong without a pause.
type Pings struct {
	stop    context.CancelFunc
	clients sync.WaitGroup

	mu      sync.Mutex
	account Account
}

// Start starts clients, which go on until Stop.
func Start(clients int, dial Dial) *Pings {
	ctx, stop := context.WithCancel(context.Background())
	p := &Pings{stop: stop}
	for range clients {
		p.clients.Go(func() { p.send(ctx, dial) })
	}
	return p
}

// Stop returns the account when every client has its last answer.
func (p *Pings) Stop() Account {
	p.stop()
	p.clients.Wait()
	return p.account
}

// Acknowledged is how many numbers were handed out so far.
func (p *Pings) Acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.account.Numbers)
}

func (p *Pings) send(ctx context.Context, dial Dial) {
	c := Client{Dial: dial}
	defer c.Close()
	for sent := 1; ctx.Err() == nil; sent++ {
		// A request that is under way as ctx ends still gets its answer.
		status, body, err := c.Get(context.WithoutCancel(ctx), "/pingpong")
		if !p.record(status, string(body), err) {
			c.Close()
			time.Sleep(pause)
		}
		if sent%reconnectAfter == 0 {
			c.Close()
		}
	}
}

func (p *Pings) record(status int, body string, err error) (acknowledged bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &p.account
	switch {
	case errors.Is(err, ErrNotSent):
		a.NotSent++
		a.Reasons = append(a.Reasons, err.Error())
	case err != nil:
		a.Unanswered++
		a.Reasons = append(a.Reasons, err.Error())
	case status == http.StatusServiceUnavailable:
		a.Refused++
	case status == http.StatusGatewayTimeout:
		a.Unanswered++
		a.Reasons = append(a.Reasons, body)
	default:
		number, err := strconv.ParseInt(strings.TrimPrefix(body, "pong "), 10, 64)
		if status != http.StatusOK || err != nil {
			a.Faults = append(a.Faults, fmt.Sprintf("status %d: %s", status, body))
			return false
		}
		a.Numbers = append(a.Numbers, number)
		return true
	}
	a.Reasons = a.Reasons[max(0, len(a.Reasons)-10):]
	return false
}

// Check returns what is wrong if the count was before when the clients started, and is after now that they have stopped.
// Nobody else may have pinged meanwhile.
func (a Account) Check(before, after int64) error {
	var faults []error
	for _, fault := range a.Faults {
		faults = append(faults, errors.New(fault))
	}
	slices.Sort(a.Numbers)
	for i, number := range a.Numbers {
		if i > 0 && number == a.Numbers[i-1] {
			faults = append(faults, fmt.Errorf("%d was handed out twice", number))
		}
	}
	if n := len(a.Numbers); n > 0 && (a.Numbers[0] < before || a.Numbers[n-1] >= after) {
		faults = append(faults, fmt.Errorf("numbers from %d to %d, though the count went from %d to %d", a.Numbers[0], a.Numbers[n-1], before, after))
	}
	lost := after - before - int64(len(a.Numbers))
	if lost < 0 {
		faults = append(faults, fmt.Errorf("%d numbers were handed out that are not counted", -lost))
	}
	if lost > int64(a.Unanswered) {
		faults = append(faults, fmt.Errorf("%d pings were counted without an answer, and only %d requests had none", lost, a.Unanswered))
	}
	return errors.Join(faults...)
}

// String sums it up.
func (a Account) String() string {
	return fmt.Sprintf("%d acknowledged, %d refused, %d not sent, %d without an answer", len(a.Numbers), a.Refused, a.NotSent, a.Unanswered)
}
