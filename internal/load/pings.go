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

// PingAccount has the outcomes of pings.
type PingAccount struct {
	// Numbers are the acknowledged ones. OutOfOrder is how many of them were not above all that had been handed
	// out before they were asked for: a counter that is linearizable hands out none.
	Numbers    []int64
	OutOfOrder int
	Outcomes
}

// Pings are clients that send GET /pingpong.
type Pings struct {
	clients

	mu      sync.Mutex
	account PingAccount
	highest int64 // of the Numbers, or -1
}

// StartPings starts clients, which send at most perSecond requests a second together; 0 means no limit.
func StartPings(clients, perSecond int, dial Dial) *Pings {
	p := &Pings{highest: -1}
	p.start(clients, perSecond, dial, p.send)
	return p
}

// Stop returns when every client has its last answer.
func (p *Pings) Stop() PingAccount {
	p.wait()
	return p.account
}

// Acknowledged returns how many numbers were handed out so far.
func (p *Pings) Acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.account.Numbers)
}

// Failed returns how many requests were not acknowledged so far.
func (p *Pings) Failed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.account.Failed()
}

func (p *Pings) send(ctx context.Context, c *Client, _ int) {
	for sent := 1; p.next(ctx); sent++ {
		before := p.handedOut()
		// A request in progress still gets its answer after ctx has ended.
		status, body, err := c.Get(context.WithoutCancel(ctx), "/pingpong")
		if !p.record(before, status, body, err) {
			c.Close()
			time.Sleep(pause)
		}
		if sent%reconnectAfter == 0 {
			c.Close()
		}
	}
}

// handedOut returns the highest number that was handed out so far, or -1.
func (p *Pings) handedOut() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.highest
}

func (p *Pings) record(before int64, status int, body []byte, err error) (acknowledged bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	number, parseErr := strconv.ParseInt(strings.TrimPrefix(string(body), "pong "), 10, 64)
	if err != nil || status != http.StatusOK || parseErr != nil {
		p.account.add(status, body, err)
		return false
	}
	p.account.Numbers = append(p.account.Numbers, number)
	if number <= before {
		p.account.OutOfOrder++
	}
	p.highest = max(p.highest, number)
	return true
}

// Check compares the account with the count before the clients started and after they stopped. No other
// client may have pinged meanwhile.
func (a PingAccount) Check(before, after int64) error {
	faults := a.faults()
	slices.Sort(a.Numbers)
	for i, number := range a.Numbers {
		if i > 0 && number == a.Numbers[i-1] {
			faults = append(faults, fmt.Errorf("%d was handed out twice", number))
		}
	}
	if n := len(a.Numbers); n > 0 && (a.Numbers[0] < before || a.Numbers[n-1] >= after) {
		faults = append(faults, fmt.Errorf("numbers from %d to %d, though the count went from %d to %d",
			a.Numbers[0], a.Numbers[n-1], before, after))
	}
	if a.OutOfOrder > 0 {
		faults = append(faults, fmt.Errorf("%d numbers were handed out after higher ones", a.OutOfOrder))
	}
	lost := after - before - int64(len(a.Numbers))
	if lost < 0 {
		faults = append(faults, fmt.Errorf("%d numbers were handed out that are not counted", -lost))
	}
	if lost > int64(a.Unanswered) {
		faults = append(faults, fmt.Errorf("%d pings were counted without an answer, and only %d requests had none",
			lost, a.Unanswered))
	}
	return errors.Join(faults...)
}

func (a PingAccount) String() string {
	return fmt.Sprintf("%d acknowledged, %s", len(a.Numbers), &a.Outcomes)
}
