// Graphs draws panels of the dashboards for docs/monitoring.md: graphs PROMETHEUS FILE. It asks what Grafana
// would ask about the last ten minutes, and draws with uPlot, as Grafana does.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/stateful-k3s/stateful-k3s/internal/browser"
	"github.com/stateful-k3s/stateful-k3s/internal/dashboards"
	"github.com/stateful-k3s/stateful-k3s/internal/npm"
)

const (
	span = 10 * time.Minute
	step = 5 * time.Second
	// database is the one that the dashboard of a database shows.
	database = "pingpong"
)

// shown are the panels of each dashboard.
var shown = []struct {
	file   string
	panels []string
}{
	{"system", []string{"Requests per second", "Share of requests that fail",
		"Time of the slowest 5 % of requests", "Connections of apps to Postgres in use",
		"Age of the newest backup", "Age of the archive"}},
	{"database", []string{"Servers that answer", "Age of the newest backup", "Age of the archive",
		"The archive has a gap", "Transactions per second", "Sizes", "Time that a backup takes"}},
}

// uPlot draws graphs: https://github.com/leeoniya/uPlot
var uPlot = npm.Package{
	Name: "uplot", Version: "1.6.32",
	Integrity: "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
}

//go:embed page.html
var page string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: graphs http://localhost:9091/prometheus FILE")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "graphs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, server, file string) error {
	end := time.Now().Truncate(step)
	boards, err := ask(ctx, server, end)
	if err != nil {
		return err
	}
	html, err := render(ctx, boards, end)
	if err != nil {
		return err
	}
	return browser.Picture(ctx, file, func(window *browser.Window) error {
		err := window.Do(chromedp.EmulateViewport(1000, 100),
			chromedp.Navigate("data:text/html;base64,"+base64.StdEncoding.EncodeToString(html)))
		if err != nil {
			return fmt.Errorf("draw: %w", err)
		}
		if faults := window.Faults(); len(faults) > 0 {
			return fmt.Errorf("draw: %v", faults)
		}
		return nil
	})
}

// render returns a page that draws all panels.
func render(ctx context.Context, boards []board, end time.Time) ([]byte, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	var files [2]string
	for i, name := range []string{"dist/uPlot.iife.min.js", "dist/uPlot.min.css"} {
		content, err := uPlot.File(ctx, filepath.Join(cache, "stateful-k3s", "npm"), name)
		if err != nil {
			return nil, err
		}
		files[i] = string(content)
	}
	parsed, err := template.New("page").Parse(page)
	if err != nil {
		return nil, err
	}
	var html bytes.Buffer
	err = parsed.Execute(&html, map[string]any{"Script": template.JS(files[0]), "Style": template.CSS(files[1]),
		"Boards": boards, "Start": end.Add(-span).Unix(), "End": end.Unix(), "Step": step.Seconds()})
	return html.Bytes(), err
}

// board is a dashboard with the values that it shows.
type board struct {
	Title  string
	Panels []panel
}

type panel struct {
	Title, Type, Unit string
	Series            []series
}

// series has pairs of a time, in seconds since 1970, and a value.
type series struct {
	Name   string
	Values json.RawMessage
}

// ask gets from Prometheus what the panels show.
func ask(ctx context.Context, server string, end time.Time) ([]board, error) {
	files, err := dashboards.Read("infra/monitoring/dashboards")
	if err != nil {
		return nil, err
	}
	var boards []board
	for _, show := range shown {
		file := files[show.file]
		b := board{Title: file.Title}
		for _, title := range show.panels {
			i := slices.IndexFunc(file.Panels, func(p dashboards.Panel) bool { return p.Title == title })
			if i < 0 {
				return nil, fmt.Errorf("the dashboard %s has no panel %q", show.file, title)
			}
			p := panel{Title: title, Type: file.Panels[i].Type, Unit: file.Panels[i].FieldConfig.Defaults.Unit}
			for _, target := range file.Panels[i].Targets {
				found, err := query(ctx, server, target, end)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", title, err)
				}
				p.Series = append(p.Series, found...)
			}
			if len(p.Series) == 0 {
				return nil, fmt.Errorf("%s: prometheus has nothing of it in the last %s", title, span)
			}
			b.Panels = append(b.Panels, p)
		}
		boards = append(boards, b)
	}
	return boards, nil
}

// query returns what a target showed in the last minutes.
// Source: https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
func query(ctx context.Context, server string, target dashboards.Target, end time.Time) ([]series, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/api/v1/query_range?"+url.Values{
		"query": {target.Query(database)}, "step": {step.String()},
		"start": {fmt.Sprint(end.Add(-span).Unix())}, "end": {fmt.Sprint(end.Unix())},
	}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var found struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Values json.RawMessage
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		return nil, fmt.Errorf("reading the answer %s: %w", response.Status, err)
	}
	if found.Error != "" {
		return nil, fmt.Errorf("prometheus says: %s", found.Error)
	}
	var all []series
	for _, is := range found.Data.Result {
		all = append(all, series{target.Legend(is.Metric), is.Values})
	}
	return all, nil
}
