package main

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
)

func TestAnotherPodMayHaveAnotherPassword(t *testing.T) {
	told := func(code string) error {
		return fmt.Errorf("open: %w: %w", postgres.ErrPermanent, &pgconn.PgError{Code: code})
	}
	assert.False(t, failsAgain(nil))
	assert.False(t, failsAgain(errors.New("connection refused")))
	assert.False(t, failsAgain(told("28P01")), "a wrong password")
	assert.True(t, failsAgain(told("23514")), "rows that a constraint does not take")
	assert.True(t, failsAgain(fmt.Errorf("compare: %w", errDiffers)))
}

// A backup of a large database takes longer than RETRY.
func TestAFailureAfterALongAttemptIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		_, err := retry(t.Context(), 10*time.Minute, func() (string, error) {
			if attempts++; attempts > 1 {
				return "", nil
			}
			time.Sleep(time.Hour)
			return "", errors.New("connection reset by peer")
		})
		require.NoError(t, err)
		assert.Equal(t, 2, attempts)
	})
}

func TestRetriesEnd(t *testing.T) {
	for _, limit := range []time.Duration{0, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			begun, attempts := time.Now(), 0
			_, err := retry(t.Context(), limit, func() (string, error) {
				attempts++
				return "", errors.New("connection refused")
			})
			require.EqualError(t, err, "connection refused")
			assert.Equal(t, limit == 0, attempts == 1)
			assert.Less(t, time.Since(begun), limit+time.Minute)
		})
	}
}
