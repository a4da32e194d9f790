package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

func content() manifest.Content {
	return manifest.Content{
		Tables: []manifest.Table{
			{Schema: "public", Name: "ping", Rows: 2, Hash: hash("a", "b")},
			{Schema: "public", Name: "pong", Hash: hash()},
		},
		Sequences: []manifest.Sequence{{"public", "ping_id", 2, true}},
		Roles:     []string{"pingpong", "reader"},
		Schema:    "5c1e",
	}
}

func TestDifferences(t *testing.T) {
	assert.Empty(t, content().Differences(content()))
	assert.Equal(t, int64(2), content().Rows())
	more := manifest.Table{Schema: "public", Name: "peng"}
	for want, change := range map[string]func(c *manifest.Content){
		"table public.pong is missing":                     func(c *manifest.Content) { c.Tables = c.Tables[:1] },
		"table public.peng is one too many":                func(c *manifest.Content) { c.Tables = append(c.Tables, more) },
		"table public.ping has 3 rows instead of 2":        func(c *manifest.Content) { c.Tables[0].Rows = 3 },
		"table public.ping has other values in its 2 rows": func(c *manifest.Content) { c.Tables[0].Hash = hash("a", "c") },
		"sequence public.ping_id is missing":               func(c *manifest.Content) { c.Sequences = nil },
		"sequence public.ping_id is at 3 instead of 2":     func(c *manifest.Content) { c.Sequences[0].Value = 3 },
		"sequence public.ping_id is at 2, not yet used, instead of 2": func(c *manifest.Content) {
			c.Sequences[0].Called = false
		},
		"role reader is missing":      func(c *manifest.Content) { c.Roles = c.Roles[:1] },
		"role writer is one too many": func(c *manifest.Content) { c.Roles = append(c.Roles, "writer") },
		"the schema is another one":   func(c *manifest.Content) { c.Schema = "5c1f" },
	} {
		t.Run(want, func(t *testing.T) {
			other := content()
			change(&other)
			assert.Equal(t, []string{want}, content().Differences(other))
		})
	}
}

func TestReconcileSequences(t *testing.T) {
	at := func(value int64, called bool) []manifest.Sequence {
		return []manifest.Sequence{{"public", "id", value, called}}
	}
	for name, c := range map[string]struct {
		before, after, restored []manifest.Sequence
		kept                    bool
	}{
		"idle":                 {at(5, true), at(5, true), at(5, true), true},
		"idle, off by one":     {at(5, true), at(5, true), at(6, true), false},
		"not yet used":         {at(1, false), at(1, false), at(1, true), false},
		"used meanwhile":       {at(1, false), at(1, true), at(1, true), true},
		"advanced":             {at(5, true), at(9, true), at(7, true), true},
		"advanced, too little": {at(5, true), at(9, true), at(4, true), false},
		"advanced, too far":    {at(5, true), at(9, true), at(10, true), false},
		"counts down":          {at(-5, true), at(-9, true), at(-7, true), true},
		"counts down, too far": {at(-5, true), at(-9, true), at(-10, true), false},
		"dropped":              {at(5, true), nil, at(5, true), false},
		"not restored":         {at(5, true), at(5, true), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.before
			if c.kept {
				want = c.restored
			}
			assert.Equal(t, want, manifest.ReconcileSequences(c.before, c.after, c.restored))
		})
	}
}
