package load

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// freshEvery is how often a request comes on a new connection, as from a new visitor.
const freshEvery = 10

// SteadyAccount has the outcomes of requests that were sent on a schedule.
type SteadyAccount struct {
	Sent int
	// Latencies of the answered requests start when the request was due.
	Latencies []time.Duration
	// Faults are missing or wrong answers.
	Faults []string
}

// Steady is a client that sends GET requests at fixed times, whether the ones before have been answered or
// not.
type Steady struct {
	url         string
	kept, fresh *http.Client
	check       func(status int, body string) error
	stop        chan struct{}
	running     sync.WaitGroup

	mu      sync.Mutex
	account SteadyAccount
}

// StartSteady starts a client. check returns what is wrong with an answer. If the server has closed a kept
// connection, Go's client sends the request again, as every client does.
func StartSteady(perSecond int, url string, check func(status int, body string) error) *Steady {
	s := &Steady{
		url: url, check: check, stop: make(chan struct{}),
		kept:  &http.Client{Transport: &http.Transport{}, Timeout: Timeout},
		fresh: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Timeout},
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
				client = s.fresh
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
	response, err := client.Get(s.url)
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

// Stop returns when every request has its answer.
func (s *Steady) Stop() SteadyAccount {
	close(s.stop)
	s.running.Wait()
	s.kept.CloseIdleConnections()
	slices.Sort(s.account.Latencies)
	return s.account
}

// Check returns the faults as one error.
func (a SteadyAccount) Check() error {
	var faults []error
	for _, fault := range a.Faults {
		faults = append(faults, errors.New(fault))
	}
	return errors.Join(faults...)
}

// P99 returns the latency that 99 of 100 answers did not exceed.
func (a SteadyAccount) P99() time.Duration {
	if len(a.Latencies) == 0 {
		return 0
	}
	return a.Latencies[len(a.Latencies)*99/100]
}
