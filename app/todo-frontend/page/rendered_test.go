package page

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/backend"
)

// render returns a page, and the key in it.
func render(t *testing.T, p Page) (html, key string) {
	t.Helper()
	var b strings.Builder
	require.NoError(t, p.Render(&b))
	found := regexp.MustCompile(`name="key" value="(\w+)"`).FindStringSubmatch(b.String())
	require.NotNil(t, found)
	return b.String(), found[1]
}

func TestVisitorsGetTheSamePageWithKeysOfTheirOwn(t *testing.T) {
	p := Page{List: backend.List{Todos: []backend.Todo{{ID: 1, Title: "Feed the cat"}}, ETag: `"1"`}}
	first, firstKey := render(t, p)
	second, secondKey := render(t, p)
	assert.NotEqual(t, firstKey, secondKey)
	assert.Equal(t, strings.Replace(first, firstKey, secondKey, 1), second)
}

func TestWhatChangesShows(t *testing.T) {
	p := Page{List: backend.List{Todos: []backend.Todo{{ID: 1, Title: "Feed the cat"}}, ETag: `"1"`}}
	before, _ := render(t, p)
	changes := map[string]func(*Page){
		`data-count="7"`: func(p *Page) { p.Counts.Active = 7 },
		`Buy milk`: func(p *Page) {
			p.List = backend.List{Todos: []backend.Todo{{ID: 2, Title: "Buy milk"}}, ETag: `"2"`}
		},
		`action="/form/edit/1"`: func(p *Page) { p.Edit = 1 },
		`That is too long.`:     func(p *Page) { p.DraftError = "That is too long." },
		`somebody deleted it.`:  func(p *Page) { p.Notice = "somebody deleted it." },
		`value="Feed the dogs`: func(p *Page) {
			p.Edit, p.Edited, p.EditError = 1, "Feed the dogs",
				"That is too long."
		},
		`<main id="main" data-show="active"`: func(p *Page) { p.Show = "active" },
	}
	for want, change := range changes {
		assert.NotContains(t, before, want)
		changed := p
		change(&changed)
		html, _ := render(t, changed)
		assert.Contains(t, html, want)
		after, _ := render(t, p)
		assert.NotContains(t, after, want, "for the next visitor")
	}
}
