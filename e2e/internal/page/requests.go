package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/chromedp/cdproto/cdp"
	cdpfetch "github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/browser"
)

// Visit opens a page of another origin.
func (p *Page) Visit(html string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, html)
	}))
	p.T.Cleanup(server.Close)
	p.Do(chromedp.Navigate(server.URL))
}

// Answers counts the answers of the todos' page from now on, by method and status.
func (p *Page) Answers() func() map[string]int {
	var mu sync.Mutex
	methods, statuses := map[network.RequestID]string{}, map[network.RequestID]int64{}
	err := p.Listen(func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch event := event.(type) {
		case *network.EventRequestWillBeSent:
			if strings.HasPrefix(event.Request.URL, p.URL) {
				methods[event.RequestID] = event.Request.Method
			}
		case *network.EventResponseReceivedExtraInfo:
			statuses[event.RequestID] = event.StatusCode
		}
	})
	require.NoError(p.T, err)
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		count := map[string]int{}
		for id, method := range methods {
			if status, ok := statuses[id]; ok {
				count[fmt.Sprint(method, " ", status)]++
			}
		}
		return count
	}
}

// AcceptDialogs says yes to whatever the browser asks.
func (p *Page) AcceptDialogs() {
	require.NoError(p.T, p.Listen(func(event any) {
		if _, ok := event.(*cdppage.EventJavascriptDialogOpening); ok {
			go call(p, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: true})
		}
	}))
}

// LoseAnswers lets the next requests of a path, such as "todos", which only additions have, reach the
// backend, but not its answers the page. It counts all these requests.
func (p *Page) LoseAnswers(path string, n int32) (requests *atomic.Int32) {
	requests = new(atomic.Int32)
	require.NoError(p.T, p.Listen(func(event any) {
		paused, ok := event.(*cdpfetch.EventRequestPaused)
		if !ok {
			return
		}
		if requests.Add(1) <= n {
			go call(p, cdpfetch.FailRequest,
				cdpfetch.FailRequestParams{RequestID: paused.RequestID, ErrorReason: network.ErrorReasonConnectionReset})
		} else {
			go call(p, cdpfetch.ContinueRequest, cdpfetch.ContinueRequestParams{RequestID: paused.RequestID})
		}
	}))
	call(p, cdpfetch.Enable, cdpfetch.EnableParams{Patterns: []*cdpfetch.RequestPattern{
		{URLPattern: p.URL + path, RequestStage: cdpfetch.RequestStageResponse},
	}})
	return requests
}

// call also serves listeners, which may still be at it when the window is closed.
func call[P, R any](p *Page, command cdp.Command[P, R], params P) {
	if _, err := browser.Call(p.Window, command, params); !errors.Is(err, context.Canceled) {
		assert.NoError(p.T, err)
	}
}
