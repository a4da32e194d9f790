package main

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

// input is a request. Its output is a number, or unknown without an answer.
type input struct{ counts bool }

const unknown int64 = -1

// counterModel is how all replicas together must behave.
var counterModel = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, in, out any) (bool, any) {
		count := state.(int64)
		right := out.(int64) == unknown || out.(int64) == count
		if in.(input).counts {
			return right, count + 1
		}
		return right, count
	},
}

// history records requests and answers.
type history struct {
	start time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
	unanswered int
}

func (h *history) record(client int, in input, call time.Duration, out int64) {
	returned := int64(time.Since(h.start))
	h.mu.Lock()
	defer h.mu.Unlock()
	if out == unknown {
		h.unanswered++
		returned = math.MaxInt64 // it may take effect at any time or never
	}
	h.operations = append(h.operations,
		porcupine.Operation{ClientId: client, Input: in, Call: int64(call), Output: out, Return: returned})
}

// ask sends requests until ctx ends.
func (h *history) ask(ctx context.Context, t *testing.T, client int, replicas func() *process) {
	random := rand.New(rand.NewPCG(uint64(client), 0))
	var c load.Client
	for ctx.Err() == nil {
		to := replicas()
		c.Dial = to.Dial
		in, path := input{counts: random.IntN(4) > 0}, "/pings"
		if in.counts {
			path = "/pingpong"
		}
		call := time.Since(h.start)
		status, body, err := c.Get(context.Background(), path)
		switch {
		case errors.Is(err, load.ErrNotSent):
		case err != nil || status == http.StatusGatewayTimeout:
			if in.counts {
				h.record(client, in, call, unknown)
			}
		case status == http.StatusServiceUnavailable: // it was not counted
		case in.counts:
			h.record(client, in, call, number(t, string(body)))
		default:
			h.record(client, in, call, count(t, string(body)))
		}
		c.Close() // the next request may go to another replica
		time.Sleep(time.Duration(random.IntN(10)) * time.Millisecond)
	}
}

func TestCountIsLinearizableWhateverBreaks(t *testing.T) {
	server := postgrestest.Start(t)
	var proxies []*postgrestest.Proxy
	var mu sync.Mutex
	var replicas []*process
	start := func(i int) *process {
		return startProcess(t, "URL="+server.URLVia(proxies[i].Addr()))
	}
	for i := range 2 {
		proxies = append(proxies, postgrestest.NewProxy(t, server))
		replicas = append(replicas, start(i))
		replicas[i].WaitUntilReady(http.StatusOK)
	}
	h := &history{start: time.Now()}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			h.ask(ctx, t, client, func() *process {
				mu.Lock()
				defer mu.Unlock()
				return replicas[client%2]
			})
		})
	}
	host, err := os.Hostname()
	require.NoError(t, err)
	for round := range 12 {
		i := round % 2
		replicas[i].pingsGoOn()
		switch round / 2 {
		case 0:
			proxies[i].Cut()
		case 1:
			<-proxies[i].LoseAnswer(host + "/").Struck
		case 2:
			<-proxies[i].LoseRequest(host + "/").Struck
		case 3:
			fault := proxies[i].HoldRequest(host + "/")
			<-fault.Struck
			replicas[i].pingsGoOn()
			fault.Release()
		case 4:
			server.Kill()
			server.Restart()
		case 5:
			replicas[i].Stop(syscall.SIGKILL)
			next := start(i)
			next.WaitUntilReady(http.StatusOK)
			mu.Lock()
			replicas[i] = next
			mu.Unlock()
		}
	}
	for _, r := range replicas {
		r.pingsGoOn()
	}
	stop()
	clients.Wait()

	assert.True(t, porcupine.CheckOperations(counterModel, h.operations),
		"%d operations, %d without an answer", len(h.operations), h.unanswered)

	acknowledged, highest := 0, int64(-1)
	for _, operation := range h.operations {
		if operation.Input.(input).counts && operation.Output.(int64) != unknown {
			acknowledged++
			highest = max(highest, operation.Output.(int64))
		}
	}
	final := replicas[0].pings()
	t.Logf("%d pings acknowledged, %d without an answer, %d counted", acknowledged, h.unanswered, final)
	assert.Less(t, highest, final)
	assert.LessOrEqual(t, final-int64(acknowledged), int64(h.unanswered))
}

// pingsGoOn waits until the process has counted some more pings.
func (p *process) pingsGoOn() {
	p.t.Helper()
	p.WaitUntilReady(http.StatusOK)
	first := int64(-1)
	p.Eventually(func() bool {
		status, body := p.Get("/pings")
		if status != http.StatusOK {
			return false
		}
		if first < 0 {
			first = count(p.t, body)
		}
		return count(p.t, body) > first+20
	})
}
