package main

import (
	"fmt"
	"strconv"
	"strings"
)

// The places on the rail.
const (
	firstPlace = 1
	lastPlace  = 31
)

// direction is the difference that a step makes to the position.
type direction int

const (
	left  direction = -1
	right direction = 1
)

func (d direction) String() string {
	if d == left {
		return "left"
	}
	return "right"
}

// train is a place on the rail and the direction of the step that led there.
type train struct {
	position  int
	direction direction
}

// newTrain returns a train at the first place.
func newTrain() train { return train{firstPlace, right} }

// parseTrain parses the fields in Redis. The position must be on the rail.
func parseTrain(position, dir string) (train, error) {
	p, err := strconv.Atoi(position)
	if err != nil || p < firstPlace || p > lastPlace {
		return train{}, fmt.Errorf("position %q is not a whole number from %d to %d", position, firstPlace,
			lastPlace)
	}
	switch dir {
	case "left":
		return train{p, left}, nil
	case "right":
		return train{p, right}, nil
	default:
		return train{}, fmt.Errorf("direction %q is neither left nor right", dir)
	}
}

// step returns the train one place further. It turns round at the ends of the rail.
func (t train) step() train {
	switch t.position {
	case firstPlace:
		t.direction = right
	case lastPlace:
		t.direction = left
	}
	t.position += int(t.direction)
	return t
}

// rail draws the train, as an arrowhead, on all 31 places.
func (t train) rail() string {
	head := ">"
	if t.direction == left {
		head = "<"
	}
	return strings.Repeat("-", t.position-firstPlace) + head + strings.Repeat("-", lastPlace-t.position)
}
