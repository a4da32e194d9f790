package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// reconnectAfter this many requests, so that the clients spread over all pods of a Service again and again.
	reconnectAfter = 50
	// pause after a request that was not acknowledged.
	pause = 20 * time.Millisecond
)

// clients work at the same time until they are stopped.
type clients struct {
	stop    context.CancelFunc
	running sync.WaitGroup
}

// start starts clients, each with a number of its own. Together they send at most perSecond requests a
// second; 0 sets no limit.
func start(n, perSecond int, dial Dial,
	work func(ctx context.Context, c *Client, p *pace, number int)) *clients {
	ctx, stop := context.WithCancel(context.Background())
	all := &clients{stop: stop}
	var every time.Duration
	if perSecond > 0 {
		every = time.Second * time.Duration(n) / time.Duration(perSecond)
	}
	for number := range n {
		all.running.Go(func() {
			c := &Client{Dial: dial}
			defer c.Close()
			work(ctx, c, &pace{every: every}, number)
		})
	}
	return all
}

// pace is how fast a client sends requests.
type pace struct {
	every time.Duration
	next  time.Time
}

// wait waits until the next request may be sent. A client that was held up does not make up for it.
func (p *pace) wait() {
	time.Sleep(time.Until(p.next))
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(p.every)
}

// wait returns when every client has its last answer.
func (c *clients) wait() {
	c.stop()
	c.running.Wait()
}

// Outcomes is what became of the requests that were not acknowledged.
type Outcomes struct {
	// NotSent, Refused (503) and Unanswered count them. Only the last may have been carried out.
	NotSent, Refused, Unanswered int
	// Faults are answers that the app must not give, and the last reasons why there was none.
	Faults, Reasons []string
}

// add counts an answer other than the one that was asked for.
func (o *Outcomes) add(status int, body []byte, err error) {
	switch {
	case errors.Is(err, ErrNotSent):
		o.NotSent++
		o.because(err.Error())
	case err != nil:
		o.Unanswered++
		o.because(err.Error())
	case status == http.StatusServiceUnavailable:
		o.Refused++
		o.because(string(body))
	case status == http.StatusGatewayTimeout:
		o.Unanswered++
		o.because(string(body))
	default:
		o.Faults = append(o.Faults, fmt.Sprintf("status %d: %s", status, body))
	}
}

func (o *Outcomes) because(reason string) {
	o.Reasons = append(o.Reasons, reason)
	o.Reasons = o.Reasons[max(0, len(o.Reasons)-10):]
}

func (o *Outcomes) faults() (faults []error) {
	for _, fault := range o.Faults {
		faults = append(faults, errors.New(fault))
	}
	return faults
}

// Failed is how many requests were not acknowledged.
func (o *Outcomes) Failed() int { return o.NotSent + o.Refused + o.Unanswered + len(o.Faults) }

// String sums it up.
func (o *Outcomes) String() string {
	return fmt.Sprintf("%d refused, %d not sent, %d without an answer", o.Refused, o.NotSent, o.Unanswered)
}
