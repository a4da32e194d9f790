package load_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

func TestCheckTodos(t *testing.T) {
	stored := map[int64]string{3: "a", 7: "b"}
	assert.NoError(t, load.TodoAccount{}.Check(nil))
	assert.NoError(t, load.TodoAccount{Added: map[int64]string{3: "a", 7: "b"},
		Uncertain: []string{"c"}}.Check(stored))
	assert.NoError(t, load.TodoAccount{Added: map[int64]string{3: "a"}, Uncertain: []string{"b"}}.Check(stored))
	for message, account := range map[string]load.TodoAccount{
		"1 todos were acknowledged and are lost": {Added: map[int64]string{3: "a", 7: "b", 9: "c"}},
		"2 todos were acknowledged and are lost": {Added: map[int64]string{3: "b", 7: "a"}},
		"todo 7, b, was added without":           {Added: map[int64]string{3: "a"}},
		"todo 3, a, was added without":           {Added: map[int64]string{7: "b"}, Uncertain: []string{"c"}},
		"status 500: oh": {Added: stored,
			Outcomes: load.Outcomes{Faults: []string{"status 500: oh"}}},
	} {
		assert.ErrorContains(t, account.Check(stored), message)
	}
	twice := map[int64]string{3: "a", 4: "a"}
	assert.ErrorContains(t, load.TodoAccount{Added: map[int64]string{3: "a"}}.Check(twice),
		"todo 4, a, was added without")
	assert.ErrorContains(t, load.TodoAccount{Uncertain: []string{"a"}}.Check(twice), "was added without",
		"uncertain, but twice")
}
