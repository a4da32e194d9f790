// Screenshot takes the picture of the page with todos for the README: screenshot ADDRESS FILE. It adds the
// todos that the picture shows, and refuses a page that has others.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/chromedp/chromedp"

	"github.com/stateful-k3s/stateful-k3s/internal/browser"
)

// addTodos fills the page, oldest todo first, and fails if it has some.
const addTodos = `(async () => {
	if ((await (await fetch("/todos")).json()).length > 0)
		throw new Error("the page has todos already: make screenshot takes the picture of a new stack");
	for (const [title, completed] of [
		["Buy oat milk and bread", true],
		["Read https://en.wikipedia.org/wiki/Idempotence", false],
		["Call Grandma on Sunday", true],
		["Water the plants, also the one in the bathroom that everybody forgets", false],
		["Book the train to Tampere", false],
	]) {
		const answer = await fetch("/todos", {method: "POST", headers: {"Content-Type": "application/json"},
			body: JSON.stringify({title, completed})});
		if (!answer.ok) throw new Error("POST /todos: " + answer.status);
	}
	return true;
})()`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: screenshot ADDRESS FILE")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "screenshot:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, file string) error {
	return browser.Picture(ctx, file, func(window *browser.Window) error {
		if err := window.Do(chromedp.EmulateViewport(860, 680), chromedp.Navigate(address)); err != nil {
			return fmt.Errorf("open %s: %w", address, err)
		}
		if _, err := browser.Value[bool](window, addTodos, chromedp.EvalAwaitPromise); err != nil {
			return fmt.Errorf("add todos: %w", err)
		}
		if err := window.Do(chromedp.Navigate(address),
			chromedp.WaitVisible(chromedp.CSS("#todos li"))); err != nil {
			return fmt.Errorf("show the todos: %w", err)
		}
		return nil
	})
}
