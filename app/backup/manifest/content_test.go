package manifest_test

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

func hash(rows ...string) string {
	var h manifest.RowHash
	for _, row := range rows {
		_, _ = h.Write([]byte(row))
	}
	return h.String()
}

func TestRowHash(t *testing.T) {
	assert.Equal(t, strings.Repeat("0", 64), hash())
	assert.Equal(t, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", hash("a"),
		"one row's is its SHA-256")
	assert.Equal(t, hash("a", "b"), hash("b", "a"))
	for _, other := range [][]string{{"a"}, {"ab"}, {"a", "c"}, {"a", "b", ""}, {"a", "b", "b"}, {"a", "a"}} {
		assert.NotEqual(t, hash("a", "b"), hash(other...), other)
	}

	var rows []string
	sum, limit := new(big.Int), new(big.Int).Lsh(big.NewInt(1), 8*sha256.Size)
	for i := range 100 {
		row := strconv.Itoa(i)
		rows = append(rows, row)
		digest := sha256.Sum256([]byte(row))
		sum.Add(sum, new(big.Int).SetBytes(digest[:])).Mod(sum, limit)
		assert.Equal(t, fmt.Sprintf("%064x", sum), hash(rows...))
	}
}

func TestRowHashOfParts(t *testing.T) {
	var whole, sum manifest.RowHash
	for i := range 10 {
		var part manifest.RowHash
		for j := range i {
			row := []byte(fmt.Sprint(i, j))
			_, _ = whole.Write(row)
			_, _ = part.Write(row)
		}
		sum.Add(part)
	}
	assert.Equal(t, whole, sum)
	assert.Equal(t, int64(45), sum.Rows())
}

func TestRowHashLeavesNoGarbage(t *testing.T) {
	var h manifest.RowHash
	row := []byte("1\ta row\n")
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = h.Write(row) }))
}

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
		"table public.pong is missing": func(c *manifest.Content) { c.Tables = c.Tables[:1] },
		"table public.peng is one too many": func(c *manifest.Content) {
			c.Tables = append(c.Tables,
				more)
		},
		"table public.ping has 3 rows instead of 2": func(c *manifest.Content) { c.Tables[0].Rows = 3 },
		"table public.ping has other values in its 2 rows": func(
			c *manifest.Content) {
			c.Tables[0].Hash = hash("a", "c")
		},
		"sequence public.ping_id is missing":           func(c *manifest.Content) { c.Sequences = nil },
		"sequence public.ping_id is at 3 instead of 2": func(c *manifest.Content) { c.Sequences[0].Value = 3 },
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
