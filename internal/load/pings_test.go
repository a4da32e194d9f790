package load_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

func TestCheckPings(t *testing.T) {
	assert.NoError(t, load.PingAccount{}.Check(5, 5))
	assert.NoError(t, load.PingAccount{Numbers: []int64{6, 5, 7}}.Check(5, 8))
	assert.NoError(t, load.PingAccount{Numbers: []int64{5, 7}, Outcomes: load.Outcomes{Unanswered: 1}}.Check(5,
		8))
	for message, account := range map[string]load.PingAccount{
		"6 was handed out twice":                      {Numbers: []int64{5, 6, 6}},
		"numbers from 4 to 6, though":                 {Numbers: []int64{4, 5, 6}},
		"numbers from 5 to 8, though":                 {Numbers: []int64{5, 6, 8}},
		"1 numbers were handed out that are not":      {Numbers: []int64{5, 6, 7, 7}},
		"1 pings were counted without an answer, and": {Numbers: []int64{5, 6}},
		"2 pings were counted without an answer, and ": {Numbers: []int64{5},
			Outcomes: load.Outcomes{Unanswered: 1}},
		"status 500: oh": {Numbers: []int64{5, 6, 7},
			Outcomes: load.Outcomes{Faults: []string{"status 500: oh"}}},
	} {
		assert.ErrorContains(t, account.Check(5, 8), message)
	}
}
