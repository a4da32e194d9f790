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

// drive moves the train until ctx ends, and logs each position. While Redis cannot be used the train stands
// still; why it does so is logged when it begins or changes, not with each attempt.
func drive(ctx context.Context, s store) {
	ticker := time.NewTicker(stepInterval)
	defer ticker.Stop()
	trouble := ""
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
			if reason := explain(err); reason != trouble {
				slog.Warn("the train waits", "because", reason, "error", err)
				trouble = reason
			}
			continue
		}
		if trouble != "" {
			slog.Info("the train goes on")
			trouble = ""
		}
		slog.Info(message, "rail", t.rail(), "position", t.position, "direction",
			t.direction) //nolint:gosec // slog quotes what Redis says
	}
}

// move takes the train one step further, and says whether it is a "train" or a "new train". Redis alone knows
// where the train is: a step that was not kept did not happen, and a train is new only if Redis answers that
// there is none.
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

// explain says why the train waits and what ends that. It is the same for every repetition of one trouble,
// which the text of an error is not: it may hold port numbers.
func explain(err error) string {
	var redisError redis.Error
	switch {
	case errors.Is(err, errNonsense):
		// Waiting keeps what stands there, for a person to read and correct.
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
