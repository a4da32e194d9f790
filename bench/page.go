package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/stateful-k3s/stateful-k3s/internal/browser"
)

const (
	pageTodos = 100
	pageLoads = 15
	// pageClients request pageRate pages a second in all, for pageTime.
	pageRate, pageClients, pageTime = 200, 10, 20 * time.Second

	// seeTodo records when the first todo is on the screen: in the second frame after it is in the document, the
	// first frame has been painted.
	seeTodo = `(() => {
		const look = () => document.querySelector("main li") ?
			requestAnimationFrame(() => requestAnimationFrame(() => { window.seen = performance.now(); })) :
			requestAnimationFrame(look);
		look();
	})()`
	awaitTodo = `new Promise(done => {
		const look = () => window.seen ? done(window.seen) : setTimeout(look, 5);
		look();
	})`
	// weigh adds up the bytes of the page that came over the network, with headers, once all have come.
	weigh = `new Promise(done => setTimeout(() => done([
		...performance.getEntriesByType("navigation"),
		...performance.getEntriesByType("resource").filter(e => !e.name.includes("/todos"))
	].reduce((sum, entry) => sum + entry.transferSize, 0)), 500))`
)

// measurePage loads the page in a browser on this machine, through the ingress and with an empty cache.
func measurePage(ctx context.Context, c *cluster) (err error) {
	address, err := ingressAddress()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fillTodos(context.WithoutCancel(ctx), 0)) }()
	if err := fillTodos(ctx, pageTodos); err != nil {
		return err
	}
	chromium, stop, err := browser.Start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var times, weights []float64
	for range pageLoads {
		seen, weight, err := loadPage(chromium, "http://"+address+"/")
		if err != nil {
			return fmt.Errorf("load the page: %w", err)
		}
		fmt.Printf("page with %d todos: first todo after %.0f ms, %.0f bytes\n", pageTodos, seen, weight)
		times, weights = append(times, seen), append(weights, weight)
	}
	stop()
	memory, err := c.frontendMemory(ctx, "http://"+address+"/")
	if err != nil {
		return err
	}
	printTable(fmt.Sprintf("page with %d todos", pageTodos), "measured", "should be")
	printRow("everything transferred, KB | %.1f | at most 40", median(weights)/1e3)
	printRow("from the start of the navigation until the first todo is painted, ms | %.0f | at most 200",
		median(times))
	printRow("working set of the larger container of todo-frontend at %d requests/s, MB | %.1f | at most 32",
		pageRate,
		float64(memory)/1e6)
	fmt.Printf("\nMedians of %d loads.\n", pageLoads)
	return nil
}

// loadPage opens the page in a new window. It returns when the first todo was seen, in milliseconds, and the
// bytes.
func loadPage(chromium *browser.Browser, url string) (seen, weight float64, err error) {
	w, err := chromium.Open()
	if err != nil {
		return 0, 0, err
	}
	defer w.Close()
	_, err = browser.Call(w, page.AddScriptToEvaluateOnNewDocument,
		page.AddScriptToEvaluateOnNewDocumentParams{Source: seeTodo})
	if err != nil {
		return 0, 0, err
	}
	if err := w.Do(chromedp.Navigate(url)); err != nil {
		return 0, 0, err
	}
	if seen, err = browser.Value[float64](w, awaitTodo, chromedp.EvalAwaitPromise); err != nil {
		return 0, 0, err
	}
	weight, err = browser.Value[float64](w, weigh, chromedp.EvalAwaitPromise)
	return seen, weight, err
}

// frontendMemory returns the largest working set of todo-frontend's containers while clients load pages.
func (c *cluster) frontendMemory(ctx context.Context, url string) (largest int64, err error) {
	ctx, stop := context.WithTimeout(ctx, pageTime)
	defer stop()
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: pageClients}}
	faults, answered := make([]error, pageClients), make([]int, pageClients)
	var all sync.WaitGroup
	for i := range pageClients {
		all.Go(func() {
			for range time.Tick(time.Second * pageClients / pageRate) {
				if ctx.Err() != nil || faults[i] != nil {
					return
				}
				faults[i] = get(&client, url)
				answered[i]++
			}
		})
	}
	for ctx.Err() == nil {
		time.Sleep(time.Second)
		memory, err := c.memory(context.WithoutCancel(ctx), "todo-frontend")
		if err != nil {
			return 0, err
		}
		largest = max(largest, memory)
	}
	all.Wait()
	total := 0
	for i := range pageClients {
		if faults[i] != nil {
			return 0, faults[i]
		}
		total += answered[i]
	}
	fmt.Printf("todo-frontend answered %.0f pages/s\n", float64(total)/pageTime.Seconds())
	return largest, nil
}

func get(client *http.Client, url string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}
