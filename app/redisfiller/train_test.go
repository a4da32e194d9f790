package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTrainVisitsEveryPlaceThereAndBack(t *testing.T) {
	var want []train
	for p := 2; p <= 31; p++ {
		want = append(want, train{p, right})
	}
	for p := 30; p >= 1; p-- {
		want = append(want, train{p, left})
	}
	want = append(want, train{2, right})

	var got []train
	for at := newTrain(); len(got) < len(want); {
		at = at.step()
		got = append(got, at)
	}
	assert.Equal(t, want, got)
}

func TestRailShowsTrain(t *testing.T) {
	assert.Equal(t, ">------------------------------", newTrain().rail())
	assert.Equal(t, "----<--------------------------", train{5, left}.rail())
	assert.Equal(t, "------------------------------>", train{31, right}.rail())
}

func TestParseTrain(t *testing.T) {
	for _, want := range []train{{1, left}, {1, right}, {17, left}, {31, right}} {
		got, err := parseTrain(map[int]string{1: "1", 17: "17", 31: "31"}[want.position], want.direction.String())
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestParseTrainRefusesNonsense(t *testing.T) {
	for _, test := range []struct{ position, direction, err string }{
		{"0", "right", `position "0" is not a whole number from 1 to 31`},
		{"32", "right", `position "32" is not a whole number from 1 to 31`},
		{"1.5", "right", `position "1.5" is not a whole number from 1 to 31`},
		{"", "right", `position "" is not a whole number from 1 to 31`},
		{"5", "", `direction "" is neither left nor right`},
		{"5", "up", `direction "up" is neither left nor right`},
	} {
		_, err := parseTrain(test.position, test.direction)
		assert.EqualError(t, err, test.err)
	}
}
