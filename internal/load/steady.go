package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// freshEvery so many requests comes one on a connection of its own, as from a visitor who has just arrived.
const freshEvery = 10

// SteadyAccount is what became of requests that were sent on a schedule.
type SteadyAccount struct {
	Sent int
	// Latencies are those of the requests that were answered, each from the time at which it was due.
	Latencies []time.Duration
	// Faults are those that were not, or not as they should be.
	Faults []string
}

// Steady is an honest client that sends GET requests at fixed times, whether those before have been answered
// or not.
type Steady struct {
	url          string
	kept, single *http.Client
	check        func(status int, body string) error
	stop         chan struct{}
	running      sync.WaitGroup

	mu      sync.Mutex
	account SteadyAccount
}

// StartSteady starts a client, which goes on until Stop. Check returns what is wrong with an answer.
func StartSteady(perSecond int, transport *http.Transport, url string,
	check func(status int, body string) error) *Steady {
	// A request on a kept connection that the server has closed is sent again by Go's client, as by every one.
	fresh := transport.Clone()
	fresh.DisableKeepAlives = true
	s := &Steady{
		url: url, check: check, stop: make(chan struct{}),
		kept:   &http.Client{Transport: transport, Timeout: Timeout},
		single: &http.Client{Transport: fresh, Timeout: Timeout},
	}
	s.running.Go(func() {
		start := time.Now()
		for n := 0; ; n++ {
			due := start.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
			select {
			case <-s.stop:
				return
			case <-time.After(time.Until(due)):
			}
			client := s.kept
			if n%freshEvery == 0 {
				client = s.single
			}
			s.running.Go(func() { s.send(client, due) })
		}
	})
	return s
}

func (s *Steady) send(client *http.Client, due time.Time) {
	err := s.exchange(client)
	took := time.Since(due)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account.Sent++
	if err != nil {
		s.account.Faults = append(s.account.Faults, err.Error())
		return
	}
	s.account.Latencies = append(s.account.Latencies, took)
}

func (s *Steady) exchange(client *http.Client) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if err := s.check(response.StatusCode, string(body)); err != nil {
		return fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	return nil
}

// Answered is how many requests were answered so far as they should be.
func (s *Steady) Answered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.account.Latencies)
}

// Stop returns the account when every request has its answer.
func (s *Steady) Stop() SteadyAccount {
	close(s.stop)
	s.running.Wait()
	s.kept.CloseIdleConnections()
	slices.Sort(s.account.Latencies)
	return s.account
}

// Check returns the faults.
func (a SteadyAccount) Check() error {
	var faults []error
	for _, fault := range a.Faults {
		faults = append(faults, errors.New(fault))
	}
	return errors.Join(faults...)
}

// P99 is the latency that 99 of 100 answers did not exceed.
func (a SteadyAccount) P99() time.Duration {
	if len(a.Latencies) == 0 {
		return 0
	}
	return a.Latencies[len(a.Latencies)*99/100]
}
