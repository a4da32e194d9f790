package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// reconnectAfter requests a client makes a new connection, so that the clients spread over all pods of a
	// Service.
	reconnectAfter = 50
	// pause follows a request that was not acknowledged.
	pause = 20 * time.Millisecond
)

// clients send requests at the same time until they are stopped.
type clients struct {
	stop    context.CancelFunc
	running sync.WaitGroup
	limiter *rate.Limiter
}

// start starts n clients, which call work with their number. Together they call next at most perSecond times
// a second; 0 means no limit.
func (c *clients) start(n, perSecond int, dial Dial,
	work func(ctx context.Context, client *Client, number int)) {
	ctx, stop := context.WithCancel(context.Background())
	c.stop, c.limiter = stop, rate.NewLimiter(rate.Inf, 1)
	if perSecond > 0 {
		c.limiter.SetLimit(rate.Limit(perSecond))
	}
	for number := range n {
		c.running.Go(func() {
			client := &Client{Dial: dial}
			defer client.Close()
			work(ctx, client, number)
		})
	}
}

// next waits for the next request, and reports whether there is one.
func (c *clients) next(ctx context.Context) bool { return c.limiter.Wait(ctx) == nil }

// wait stops the clients and returns when each has its last answer.
func (c *clients) wait() {
	c.stop()
	c.running.Wait()
}

// Outcomes counts the requests that were not acknowledged.
type Outcomes struct {
	// NotSent, Refused (503) and Unanswered are numbers of requests. Only unanswered ones may have been carried
	// out.
	NotSent, Refused, Unanswered int
	// Faults are answers that the app must not give. Reasons are the last errors.
	Faults, Reasons []string
}

// add counts a request that was not acknowledged.
func (o *Outcomes) add(status int, body []byte, err error) {
	switch {
	case errors.Is(err, ErrNotSent):
		o.NotSent++
		o.addReason(err.Error())
	case err != nil:
		o.Unanswered++
		o.addReason(err.Error())
	case status == http.StatusServiceUnavailable:
		o.Refused++
		o.addReason(string(body))
	case status == http.StatusGatewayTimeout:
		o.Unanswered++
		o.addReason(string(body))
	default:
		o.Faults = append(o.Faults, fmt.Sprintf("status %d: %s", status, body))
	}
}

func (o *Outcomes) addReason(reason string) {
	o.Reasons = append(o.Reasons, reason)
	o.Reasons = o.Reasons[max(0, len(o.Reasons)-10):]
}

func (o *Outcomes) faults() (faults []error) {
	for _, fault := range o.Faults {
		faults = append(faults, errors.New(fault))
	}
	return faults
}

// Failed returns how many requests were not acknowledged.
func (o *Outcomes) Failed() int { return o.NotSent + o.Refused + o.Unanswered + len(o.Faults) }

func (o *Outcomes) String() string {
	return fmt.Sprintf("%d refused, %d not sent, %d without an answer", o.Refused, o.NotSent, o.Unanswered)
}
