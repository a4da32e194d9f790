package train

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

const (
	lastPlace = 31
	// lap is the number of steps to the far end of the rail and back.
	lap = 2 * (lastPlace - 1)
	// slack is how many steps an interruption may hide from the log: one second.
	slack = 5
)

// event is a line of redisfiller's log: a train at its place, or anything else.
type event struct {
	time      time.Time
	train     bool
	isNew     bool // it had no place before
	position  int
	direction string
}

var (
	logTime  = regexp.MustCompile(`^time=(\S+) `)
	logTrain = regexp.MustCompile(` msg=(train|"new train") rail=\S+ position=(\d+) direction=(left|right)$`)
)

// parseEvent reads a line of redisfiller's log.
func parseEvent(line string) (event, error) {
	stamp := logTime.FindStringSubmatch(line)
	if stamp == nil {
		return event{}, fmt.Errorf("no line of redisfiller's log: %q", line)
	}
	at, err := time.Parse(time.RFC3339, stamp[1])
	if err != nil {
		return event{}, fmt.Errorf("time of %q: %w", line, err)
	}
	match := logTrain.FindStringSubmatch(line)
	if match == nil {
		return event{time: at}, nil
	}
	position, err := strconv.Atoi(match[2])
	if err != nil {
		return event{}, fmt.Errorf("position in %q: %w", line, err)
	}
	return event{time: at, train: true, isNew: match[1] != "train", position: position, direction: match[3]}, nil
}

// progress is the number of steps from the first place, from 0 to 59.
func (e event) progress() int {
	if e.direction == "right" {
		return e.position - 1
	}
	return (lap - (e.position - 1)) % lap
}

// checkWalk returns an error unless the train, after its first place, continued step by step. Between two
// places with anything else in the log it may have taken as many more steps as slack, and none back.
func checkWalk(walk []event) error {
	var last *event
	interrupted := false
	for i := range walk {
		next := &walk[i]
		switch {
		case !next.train:
			interrupted = true
			continue
		case last == nil:
		case next.isNew:
			return fmt.Errorf("a new train at %s; the last one was at %d (%s)", next.time, last.position,
				last.direction)
		default:
			// From -lap/2 to lap/2: 0 is a single step.
			skipped := (next.progress()-last.progress()-1+lap+lap/2)%lap - lap/2
			if skipped < 0 || skipped > slack || skipped > 0 && !interrupted {
				return fmt.Errorf("at %s the train went from %d (%s) to %d (%s)",
					next.time, last.position, last.direction, next.position, next.direction)
			}
		}
		last, interrupted = next, false
	}
	return nil
}
