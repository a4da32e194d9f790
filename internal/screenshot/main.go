// Screenshot takes the picture of the page with todos for the README: screenshot ADDRESS FILE. It adds the
// todos that the picture shows, and refuses a page that has others.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/chromedp/chromedp"

	"github.com/stateful-k3s/stateful-k3s/internal/browser"
)

// todos begin with the oldest. A + marks completed ones.
var todos = []string{
	"+ Buy oat milk and bread",
	"Read https://en.wikipedia.org/wiki/Idempotence",
	"+ Call Grandma on Sunday",
	"Water the plants, also the one in the bathroom that everybody forgets",
	"Book the train to Tampere",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: screenshot ADDRESS FILE")
		os.Exit(2)
	}
	if err := run(ctx, strings.TrimSuffix(os.Args[1], "/"), os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "screenshot:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, file string) error {
	if err := fill(ctx, address); err != nil {
		return err
	}
	chromium, stop, err := browser.Start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	window, err := chromium.Open()
	if err != nil {
		return err
	}
	defer window.Close()
	err = window.Do(chromedp.EmulateViewport(860, 680), chromedp.Navigate(address),
		chromedp.WaitVisible(chromedp.CSS("#todos li")))
	if err != nil {
		return fmt.Errorf("show the page: %w", err)
	}
	picture, err := browser.Screenshot(window)
	if err != nil {
		return fmt.Errorf("take the picture: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, picture, 0o644)
}

func fill(ctx context.Context, address string) error {
	var others []struct{}
	if err := call(ctx, http.MethodGet, address+"/todos", nil, &others); err != nil {
		return err
	}
	if len(others) > 0 {
		return errors.New("the page has todos already: make screenshot takes the picture of a new stack")
	}
	for _, todo := range todos {
		title, completed := strings.CutPrefix(todo, "+ ")
		var added struct{ ID int64 }
		if err := call(ctx, http.MethodPost, address+"/todos", map[string]any{"title": title}, &added); err != nil {
			return err
		}
		err := call(ctx, http.MethodPatch, fmt.Sprintf("%s/todos/%d", address, added.ID),
			map[string]any{"completed": completed}, &struct{}{})
		if err != nil {
			return err
		}
	}
	return nil
}

// call sends a body as JSON, if there is one, and decodes the answer.
func call(ctx context.Context, method, url string, body, answer any) error {
	var content io.Reader = http.NoBody
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = strings.NewReader(string(encoded))
	}
	request, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s", method, url, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, url, err)
	}
	return nil
}
