package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// key is a Redis hash with the fields position and direction.
	key = "train"
	// timeout limits a command.
	timeout = time.Second
)

var (
	errPassword = errors.New("read REDIS_PASSWORD_FILE")
	errNonsense = errors.New("the hash " + key + " in Redis is no train")
)

// store stores the train in Redis.
type store struct{ client *redis.Client }

// newStore does not connect yet. Each new connection reads the password again, so a changed one needs no
// restart.
func newStore(addr, passwordFile string) store {
	options := &redis.Options{
		Addr:                  addr,
		DialTimeout:           timeout,
		ReadTimeout:           timeout,
		WriteTimeout:          timeout,
		ContextTimeoutEnabled: true,
		// drive retries with every step.
		MaxRetries:    -1,
		DialerRetries: 1,
		PoolSize:      2,
	}
	if passwordFile != "" {
		options.CredentialsProviderContext = func(context.Context) (string, string, error) {
			password, err := os.ReadFile(passwordFile)
			if err != nil {
				return "", "", fmt.Errorf("%w: %w", errPassword, err)
			}
			return "", strings.TrimRight(string(password), "\r\n"), nil
		}
	}
	return store{redis.NewClient(options)}
}

// ping fails while Redis is away, loads its data or refuses the password.
func (s store) ping(ctx context.Context) error {
	if err := s.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping Redis: %w", err)
	}
	return nil
}

// load reads the train. Found is false if Redis has loaded its data and has no train.
func (s store) load(ctx context.Context) (t train, found bool, err error) {
	fields, err := s.client.HGetAll(ctx, key).Result()
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		return train{}, false, fmt.Errorf("%w: %w", errNonsense, err)
	}
	if err != nil {
		return train{}, false, fmt.Errorf("read the train from Redis: %w", err)
	}
	if len(fields) == 0 {
		return train{}, false, nil
	}
	t, err = parseTrain(fields["position"], fields["direction"])
	if err != nil {
		return train{}, false, fmt.Errorf("%w: %w", errNonsense, err)
	}
	return t, true, nil
}

// save writes position and direction with one command, so Redis never has one without the other.
func (s store) save(ctx context.Context, t train) error {
	err := s.client.HSet(ctx, key, "position", t.position, "direction", t.direction.String()).Err()
	if err != nil {
		return fmt.Errorf("write the train to Redis: %w", err)
	}
	return nil
}
