package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"

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
