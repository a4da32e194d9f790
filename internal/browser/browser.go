// Package browser drives Chromium for tests, measurements and pictures of the page.
package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// timeout bounds each call.
const timeout = time.Minute

// Browser is a running Chromium.
type Browser struct{ ctx context.Context }

// Start starts the Chromium on the PATH, headless. It ends with ctx or stop.
func Start(ctx context.Context) (b *Browser, stop func(), err error) {
	ctx, end := chromedp.NewExecAllocator(ctx, append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.NoSandbox, // as root there is none
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

// Window is a window with its own cache and storage.
type Window struct {
	ctx   context.Context
	close func()

	mu     sync.Mutex
	faults []string
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
			w.addFault(message)
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

// addFault keeps what goes wrong in a page. Answers with an error status do not count: pages handle them.
func (w *Window) addFault(message chromedp.ConsoleMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wrong := message.IsException() || message.Type == "error" && message.Source != "network"
	onlyHTTPS := strings.Contains(message.Text, "Cross-Origin-Opener-Policy header has been ignored")
	if wrong && !onlyHTTPS {
		w.faults = append(w.faults, message.Text)
	}
}

// Faults returns exceptions of scripts, and violations of the page's content security policy.
func (w *Window) Faults() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.faults)
}

// Do runs actions one after the other.
func (w *Window) Do(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

// Value evaluates a JavaScript expression in the page.
func Value[T any](w *Window, expression string, options ...chromedp.EvaluateOption) (T, error) {
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
}

// Call runs a command of the DevTools protocol.
func Call[P, R any](w *Window, command cdp.Command[P, R], params P) (R, error) {
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	return chromedp.Call(ctx, command, params)
}

// Listen calls a function with every event of the window.
func (w *Window) Listen(do func(event any)) error { return chromedp.Listen(w.ctx, do) }

// Screenshot returns a PNG of the whole page.
func Screenshot(w *Window) ([]byte, error) {
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	return chromedp.Run(ctx, chromedp.FullScreenshot(100))
}

// Picture starts a browser, lets show fill a window, and writes a PNG of the whole page into a file.
func Picture(ctx context.Context, file string, show func(*Window) error) error {
	chromium, stop, err := Start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	window, err := chromium.Open()
	if err != nil {
		return err
	}
	defer window.Close()
	if err := show(window); err != nil {
		return err
	}
	picture, err := Screenshot(window)
	if err != nil {
		return fmt.Errorf("take the picture: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, picture, 0o644)
}

// Follow runs actions that lead to another page, and waits until it has loaded.
func (w *Window) Follow(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, steps...)
	return err
}
