package train

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseEvent(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 53, 56, 123_000_000, time.UTC)
	const begin = "time=2026-11-22T10:53:56.123Z level=INFO msg="
	for line, want := range map[string]event{
		"train rail=----<-------------------------- position=5 direction=left": {time: at, train: true,
			position: 5, direction: "left"},
		`"new train" rail=>------------------------------ position=1 direction=right`: {time: at, train: true,
			isNew: true, position: 1, direction: "right"},
		`"the train goes on"`: {time: at},
	} {
		got, err := parseEvent(begin + line)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	_, err := parseEvent("panic: runtime error")
	assert.EqualError(t, err, `no line of redisfiller's log: "panic: runtime error"`)
}

func TestCheckWalk(t *testing.T) {
	right := func(p int) event { return event{train: true, position: p, direction: "right"} }
	left := func(p int) event { return event{train: true, position: p, direction: "left"} }
	anew := event{train: true, isNew: true, position: 1, direction: "right"}
	other := event{}

	for name, walk := range map[string][]event{
		"step by step":           {right(4), right(5), right(6)},
		"a new train, at first":  {anew, right(2)},
		"round the far end":      {right(30), right(31), left(30)},
		"round the near end":     {left(2), left(1), right(2)},
		"five skipped":           {right(9), other, right(15)},
		"five skipped at an end": {right(30), other, left(27)},
	} {
		assert.NoError(t, checkWalk(walk), name)
	}
	for name, walk := range map[string][]event{
		"a new train":               {right(2), other, anew},
		"back at the start":         {right(20), other, right(1)},
		"turned round":              {right(20), other, left(20)},
		"six skipped":               {right(9), other, right(16)},
		"one lost":                  {right(9), other, right(9)},
		"one skipped for no reason": {right(9), right(11)},
		"standing for no reason":    {right(9), right(9)},
		"the slack used twice":      {right(9), other, right(15), right(21)},
	} {
		assert.Error(t, checkWalk(walk), name)
	}
}
