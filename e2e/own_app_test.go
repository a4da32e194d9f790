package e2e

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/page"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/store"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// TestAnAppOfOthersKeepsItsData brings up miniflux as the README of examples/own-app does, and uses it in a
// browser. A category is there after all pods and then the volume of its database were deleted.
func TestAnAppOfOthersKeepsItsData(t *testing.T) {
	inLane(t, miniflux)
	c := kube.Connect(t).In(miniflux)
	t.Cleanup(func() {
		ownApp(t, "destroy", "--yes", "--skip-preview")
		ownApp(t, "stack", "rm", "--yes")
		c.Kubectl("delete", "namespace", miniflux, "--wait=false")
	})
	ownApp(t, "stack", "init", lab.Name())
	ownApp(t, "config", "set", "registry", lab.Registry()+"/own-app")
	ownApp(t, "config", "set", "images", lab.Registry()+"@"+lab.Name())
	ownApp(t, "up", "--yes", "--skip-preview")

	p := page.Browse(t, ownApp(t, "stack", "output", "url")+"/")
	p.Open("")
	fill := func(selector, text string) { p.Do(chromedp.SendKeys(chromedp.CSS(selector), text)) }
	fill("#form-username", "admin")
	fill("#form-password", ownApp(t, "stack", "output", "adminPassword", "--show-secrets"))
	p.Submit("button[type=submit]")
	p.Open("category/create")
	fill("#form-title", "Lighthouses")
	p.Submit("form[action$='/category/save'] button[type=submit]")
	showsCategory(p)

	c.Kubectl("delete", "pods", "--all")
	showsCategory(p)

	backup := c.StartJob(store.Backup, "before-the-loss", func(*batchv1.JobSpec) {})
	completed, log := c.WaitForJob(backup)
	require.True(t, completed, log)
	c.Kubectl("delete", "statefulset", postgres.Set, "--cascade=foreground")
	c.Kubectl("delete", "pvc", postgres.Volume)
	ownApp(t, "up", "--refresh", "--yes", "--skip-preview",
		"--config", "restoreFrom=latest", "--config", "restoreOver=true")
	assert.Contains(t, store.OutcomeOf(c, "restore").Said, "restored miniflux from ")
	showsCategory(p)
}

// ownApp runs pulumi on the example, and returns what it prints.
func ownApp(t *testing.T, args ...string) string {
	dir := filepath.Join(lab.Checkout, "examples", "own-app")
	return strings.TrimSpace(proc.Run(t, proc.Command(dir, "pulumi", append(args, "--non-interactive")...)))
}

// showsCategory waits until the page shows the category. The visitor stays logged in: sessions are in the
// database too.
func showsCategory(p *page.Page) {
	wait.Until(p.T, func() error {
		p.Open("categories")
		if text := page.Value[string](p, "document.body.innerText"); !strings.Contains(text, "Lighthouses") {
			return errors.New(text)
		}
		return nil
	})
}
