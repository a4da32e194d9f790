package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/subprocess"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
)

// outputs are the stack's outputs that the summary shows.
type outputs struct {
	TodoURL     string `json:"todoUrl"`
	PingpongURL string `json:"pingpongUrl"`
	Namespaces  map[string]string
}

// showSummary prints what a person can do with the stack that is up.
func showSummary(ctx context.Context, lab layout.Lab) error {
	out, err := subprocess.Output(
		exec.CommandContext(ctx, "pulumi", "stack", "output", "--json", "--stack", lab.Name))
	if err != nil {
		return fmt.Errorf("asking for the stack's outputs: %w", err)
	}
	var o outputs
	if err := json.Unmarshal(out, &o); err != nil {
		return fmt.Errorf("reading the stack's outputs: %w", err)
	}
	fmt.Println(strings.Join(o.lines(lab.Name, existingCluster() != ""), "\n"))
	return nil
}

// lines returns at most 10 lines.
func (o outputs) lines(lab string, existingCluster bool) []string {
	env, of := ".lab/env", ""
	if lab != layout.Default {
		env, of = ".lab/"+lab+"/env", " LAB="+lab
	}
	lines := []string{"", "The stack " + lab + " is up:"}
	add := func(what, how string) { lines = append(lines, fmt.Sprintf("  %-10s %s", what, how)) }
	if o.TodoURL == "" { // the stack has no ingress
		add("todos", "kubectl -n "+o.Namespaces["project"]+
			" port-forward service/todo-frontend-svc 8080:80, then http://localhost:8080/")
	} else {
		add("todos", o.TodoURL)
		add("pings", o.PingpongURL)
	}
	add("a shell", ". "+env+", for kubectl and pulumi")
	add("the train", "kubectl -n "+o.Namespaces["exercises"]+" logs -f redis-stset-0 -c redisfiller")
	add("addresses", "pulumi stack output")
	if !existingCluster {
		add("status", "make status"+of)
	}
	add("tests", "make test, in a lab of its own")
	return lines
}
