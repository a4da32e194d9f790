package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// stepInterval is the time from one step to the next.
const stepInterval = 200 * time.Millisecond

// drive moves the train until ctx ends, and logs each position. The train waits while Redis fails; drive logs
// the reason when it changes, not with each attempt.
func drive(ctx context.Context, s store) {
	ticker := time.NewTicker(stepInterval)
	defer ticker.Stop()
	waitsFor := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		message, t, err := move(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if reason := explain(err); reason != waitsFor {
				slog.Warn("the train waits", "because", reason, "error", err)
				waitsFor = reason
			}
			continue
		}
		if waitsFor != "" {
			slog.Info("the train goes on")
			waitsFor = ""
		}
		//nolint:gosec // slog quotes text from Redis
		slog.Info(message, "rail", t.rail(), "position", t.position, "direction", t.direction)
	}
}

// move moves the train by a step; the message is "train" or "new train". Only Redis holds the position: a
// step that was not stored did not happen, and a train is new only if Redis answers that it has none.
func move(ctx context.Context, s store) (message string, t train, err error) {
	t, found, err := s.load(ctx)
	if err != nil {
		return "", train{}, err
	}
	if found {
		message, t = "train", t.step()
	} else {
		message, t = "new train", newTrain()
	}
	return message, t, s.save(ctx, t)
}

// explain says why the train waits and what to do. Unlike the text of an error, which may contain port
// numbers, it stays the same while the reason does.
func explain(err error) string {
	var redisError redis.Error
	switch {
	case errors.Is(err, errNonsense):
		// The value stays, so a person can look at it and correct it.
		return "Redis holds no usable train; set it right with redis-cli HSET train position 1 direction right"
	case errors.Is(err, errPassword):
		return "the password cannot be read; REDIS_PASSWORD_FILE must name a readable file"
	case redis.IsAuthError(err):
		return "Redis refuses the password; the file REDIS_PASSWORD_FILE must hold what requirepass says"
	case redis.IsLoadingError(err):
		return "Redis is still loading its data"
	case errors.As(err, &redisError):
		return "Redis refuses the command"
	default:
		return "Redis does not answer; it should run at REDIS_ADDR"
	}
}
