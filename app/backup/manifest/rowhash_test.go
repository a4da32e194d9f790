package manifest_test

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
)

func hash(rows ...string) string {
	var h manifest.RowHash
	for _, row := range rows {
		_, _ = h.Write([]byte(row))
	}
	return h.String()
}

func TestRowHash(t *testing.T) {
	assert.Equal(t, strings.Repeat("0", 64), hash())
	assert.Equal(t, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", hash("a"),
		"one row's is its SHA-256")
	assert.Equal(t, hash("a", "b"), hash("b", "a"))
	for _, other := range [][]string{{"a"}, {"ab"}, {"a", "c"}, {"a", "b", ""}, {"a", "b", "b"}, {"a", "a"}} {
		assert.NotEqual(t, hash("a", "b"), hash(other...), other)
	}

	var rows []string
	sum, limit := new(big.Int), new(big.Int).Lsh(big.NewInt(1), 8*sha256.Size)
	for i := range 100 {
		row := strconv.Itoa(i)
		rows = append(rows, row)
		digest := sha256.Sum256([]byte(row))
		sum.Add(sum, new(big.Int).SetBytes(digest[:])).Mod(sum, limit)
		assert.Equal(t, fmt.Sprintf("%064x", sum), hash(rows...))
	}
}

func TestRowHashOfParts(t *testing.T) {
	var whole, sum manifest.RowHash
	for i := range 10 {
		var part manifest.RowHash
		for j := range i {
			row := []byte(fmt.Sprint(i, j))
			_, _ = whole.Write(row)
			_, _ = part.Write(row)
		}
		sum.Add(part)
	}
	assert.Equal(t, whole, sum)
	assert.Equal(t, int64(45), sum.Rows())
}

func TestRowHashLeavesNoGarbage(t *testing.T) {
	var h manifest.RowHash
	row := []byte("1\ta row\n")
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = h.Write(row) }))
}
