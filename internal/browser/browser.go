// Package browser drives a Chromium, for tests, measurements and pictures of the page.
package browser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// patience is the longest that a call may take.
const patience = time.Minute

// Browser is a running Chromium.
type Browser struct{ ctx context.Context }

// Start starts the Chromium that is on the PATH, without a screen. It ends with ctx, or by stop.
func Start(ctx context.Context) (b *Browser, stop func(), err error) {
	ctx, end := chromedp.NewExecAllocator(ctx, append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.NoSandbox, // root has none
		chromedp.DisableGPU,
	)...)
	ctx, cancel := chromedp.NewContext(ctx)
	stop = func() {
		cancel()
		end()
	}
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, nil, fmt.Errorf("start chromium (Debian's package of that name): %w", err)
	}
	return &Browser{ctx}, stop, nil
}

// Window is one of a visitor of its own, with whom it shares neither cache nor storage.
type Window struct {
	ctx   context.Context
	close func()

	mu         sync.Mutex
	complaints []string
}

// Open opens an empty window.
func (b *Browser) Open() (*Window, error) {
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	w := &Window{ctx: ctx, close: cancel}
	messages := chromedp.Console(ctx)
	go func() {
		for message, err := range messages {
			if err != nil {
				return
			}
			w.hear(message)
		}
	}()
	if err := w.Do(chromedp.EmulateViewport(1000, 900)); err != nil {
		cancel()
		return nil, fmt.Errorf("open a window: %w", err)
	}
	return w, nil
}

// Close closes the window.
func (w *Window) Close() { w.close() }

// hear collects what goes wrong in a page. Answers with an error status do not count: pages know what to do
// with them.
func (w *Window) hear(message chromedp.ConsoleMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wrong := message.IsException() || message.Type == "error" && message.Source != "network"
	onlyHTTPS := strings.Contains(message.Text, "Cross-Origin-Opener-Policy header has been ignored")
	if wrong && !onlyHTTPS {
		w.complaints = append(w.complaints, message.Text)
	}
}

// Complaints are exceptions of scripts, and violations of the page's own policy.
func (w *Window) Complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.complaints)
}

// Do does steps, one after the other.
func (w *Window) Do(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

// Value is what a JavaScript expression is in the page.
func Value[T any](w *Window, expression string, options ...chromedp.EvaluateOption) (T, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
}

// Call runs a command of the DevTools protocol.
func Call[P, R any](w *Window, command cdp.Command[P, R], params P) (R, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return chromedp.Call(ctx, command, params)
}

// Listen calls a function for every event of the window.
func (w *Window) Listen(do func(event any)) error { return chromedp.Listen(w.ctx, do) }

// Picture is a PNG of the whole page.
func Picture(w *Window) ([]byte, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.FullScreenshot(100))
}

// Follow does steps of which one leads to another page, and waits until that is loaded.
func (w *Window) Follow(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, steps...)
	return err
}
