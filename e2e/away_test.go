package e2e

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdpfetch "github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stateful-k3s/stateful-k3s/internal/browser"
)

const away = "The todos cannot be reached right now. "

// Nothing that a visitor typed gets lost, and all is well again by itself.
func TestBackendAwayAndBack(t *testing.T) {
	c := newLane(t, project)
	p := showPage(t)
	p.add("Buy milk")
	p.shows("- Buy milk")
	plain := openWindow(t, p.chromium)
	plain.script(false)
	plain.open("")
	p.acceptDialogs()

	comeBack := c.stop("todo-backend")
	p.text(away+"Try again", "#away")
	p.shows("- Buy milk")
	p.write("Call Grandma" + kb.Enter)
	p.shows("- Call Grandma", "- Buy milk")
	p.text(away+"What you did is kept, and saved when they are back. Try again", "#away")
	p.click(p.row("Buy milk") + " .check")
	p.shows("- Call Grandma", "x Buy milk")
	p.write("Not sent yet")
	p.reload() // asks whether to leave
	p.shows("- Call Grandma")
	p.text(away+"What you did is kept, and saved when they are back. Try again", "#away")
	p.becomes(false, `document.querySelector("#left").checkVisibility()`)
	p.check("away-and-loaded")
	p.write("Not sent yet")

	plain.write("Sleep")
	plain.submit("#add button")
	plain.becomes("Sleep", `document.querySelector("#title").value`)
	plain.text("This could not be saved. Try again in a moment.", "#title-error")
	plain.text(away+"Try again", "#away")
	plain.script(true) // not for the page, which is loaded, but for axe
	plain.check("away-without-script")
	plain.script(false)

	comeBack()
	p.shows("- Call Grandma", "x Buy milk")
	p.has("- Call Grandma", "x Buy milk")
	p.becomes(false, `document.querySelector("#away").checkVisibility()`)
	p.text("1 left", "#left")
	p.becomes("Not sent yet", `document.querySelector("#title").value`)
	plain.submit("#add button")
	plain.shows("- Sleep", "- Call Grandma", "x Buy milk")
}

// What was done, though no answer said so, is not done twice.
func TestLostAnswers(t *testing.T) {
	p := openPage(t)
	lost := p.loseAnswers("todos", 2)
	p.write("Buy milk" + kb.Enter)
	p.has("- Buy milk") // though the page does not know it
	becomes(t, 3, func() int { return int(lost.Load()) })
	p.shows("- Buy milk")
	p.becomes(0.0, waiting)
	p.write("Sleep" + kb.Enter)
	p.has("- Sleep", "- Buy milk")
	p.shows("- Sleep", "- Buy milk")
	becomes(t, 4, func() int { return int(lost.Load()) }) // the list may know it before its answer has come
}

// The list that came when the counts did not is shown with the next counts.
func TestLostCounts(t *testing.T) {
	p := openPage(t)
	lost := p.loseAnswers("todos/counts", 3)
	p.add("Buy milk") // before the last is lost, seconds later
	p.shows("- Buy milk")
	p.text("1 left", "#left")
	assert.GreaterOrEqual(t, int(lost.Load()), 3)
}

// stop takes all pods of a Deployment away; the function that it returns brings them back.
func (c *cluster) stop(deployment string) (comeBack func()) {
	c.t.Helper()
	scale := func(replicas int32) (before int32) {
		scale, err := c.AppsV1().Deployments(c.namespace).GetScale(c.t.Context(), deployment, metav1.GetOptions{})
		require.NoError(c.t, err)
		before, scale.Spec.Replicas = scale.Spec.Replicas, replicas
		_, err = c.AppsV1().Deployments(c.namespace).UpdateScale(c.t.Context(), deployment, scale,
			metav1.UpdateOptions{})
		require.NoError(c.t, err)
		return before
	}
	replicas := scale(0)
	return func() {
		c.t.Helper()
		scale(replicas)
		c.waitUntilReady()
	}
}

// acceptDialogs says yes to whatever the browser asks.
func (p *page) acceptDialogs() {
	p.t.Helper()
	require.NoError(p.t, p.Listen(func(event any) {
		if _, ok := event.(*cdppage.EventJavascriptDialogOpening); ok {
			go call(p, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: true})
		}
	}))
}

// loseAnswers lets the next requests of a path, such as "todos", which only additions have, reach the
// backend, but not its answers the page. It counts all these requests.
func (p *page) loseAnswers(path string, n int32) (requests *atomic.Int32) {
	p.t.Helper()
	requests = new(atomic.Int32)
	require.NoError(p.t, p.Listen(func(event any) {
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
		{URLPattern: p.url + path, RequestStage: cdpfetch.RequestStageResponse},
	}})
	return requests
}

// call also serves listeners, which may still be at it when the window is closed.
func call[P, R any](p *page, command cdp.Command[P, R], params P) {
	if _, err := browser.Call(p.Window, command, params); !errors.Is(err, context.Canceled) {
		assert.NoError(p.t, err)
	}
}
