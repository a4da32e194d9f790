// Screenshot takes the picture of the todos' page that the README shows: screenshot ADDRESS FILE. It adds the
// todos that are to be seen, and so refuses a page that has others.
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

// todos are the oldest first; a + marks those that are completed.
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
	picture, err := browser.Picture(window)
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
	if err := ask(ctx, http.MethodGet, address+"/todos", nil, &others); err != nil {
		return err
	}
	if len(others) > 0 {
		return errors.New("the page has todos already; take the picture of a stack of its own: make screenshot")
	}
	for _, todo := range todos {
		title, completed := strings.CutPrefix(todo, "+ ")
		var added struct{ ID int64 }
		if err := ask(ctx, http.MethodPost, address+"/todos", map[string]any{"title": title}, &added); err != nil {
			return err
		}
		err := ask(ctx, http.MethodPatch, fmt.Sprintf("%s/todos/%d", address, added.ID),
			map[string]any{"completed": completed}, &struct{}{})
		if err != nil {
			return err
		}
	}
	return nil
}

// ask sends JSON if there is some, and reads the answer's.
func ask(ctx context.Context, method, url string, body, answer any) error {
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
