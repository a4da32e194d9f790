// Package rounds reads from the environment how often a test does something, and its random seed.
package rounds

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Random logs its seed, and takes it from <variable>_SEED if that is set.
func Random(t *testing.T, variable string) *rand.Rand {
	seed := Number(t, variable+"_SEED", rand.Uint64())
	t.Logf("%s_SEED=%d", variable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// Number is the value of a variable, or the default.
func Number(t *testing.T, variable string, byDefault uint64) uint64 {
	text := os.Getenv(variable)
	if text == "" {
		return byDefault
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, variable)
	return n
}
