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

// key is the Redis hash that holds the train, with the fields position and direction.
const key = "train"

// timeout is how long one exchange with Redis may take.
const timeout = time.Second

var (
	// errPassword says that the password file cannot be read.
	errPassword = errors.New("read REDIS_PASSWORD_FILE")
	// errNonsense says that what Redis holds is no train.
	errNonsense = errors.New("the hash " + key + " in Redis is no train")
)

// store keeps the train in Redis.
type store struct {
	client *redis.Client
}

// newStore reads the password at each new connection, so that a changed one is taken up without a restart. It
// does not connect yet.
func newStore(addr, passwordFile string) store {
	options := &redis.Options{
		Addr:                  addr,
		DialTimeout:           timeout,
		ReadTimeout:           timeout,
		WriteTimeout:          timeout,
		ContextTimeoutEnabled: true,
		// The loop tries again with every step and logs why.
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

// ping fails while Redis cannot be used: it is away, loading its data, or refuses the password.
func (s store) ping(ctx context.Context) error {
	if err := s.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping Redis: %w", err)
	}
	return nil
}

// load reads the train; found is false if Redis, with all its data loaded, has none.
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

// save writes position and direction with one command, so that never one is kept without the other.
func (s store) save(ctx context.Context, t train) error {
	err := s.client.HSet(ctx, key, "position", t.position, "direction", t.direction.String()).Err()
	if err != nil {
		return fmt.Errorf("write the train to Redis: %w", err)
	}
	return nil
}
