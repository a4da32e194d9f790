package manifest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// RowHash sums the hashes of a table's rows. The zero value stands for an empty table.
type RowHash struct {
	rows int64
	sum  [words]uint64 // the most significant first
}

const (
	wordSize = 8 // bytes
	words    = sha256.Size / wordSize
)

// Write adds one row. It allocates nothing.
func (h *RowHash) Write(row []byte) (int, error) {
	digest := sha256.Sum256(row)
	one := RowHash{rows: 1}
	for i := range one.sum {
		one.sum[i] = binary.BigEndian.Uint64(digest[i*wordSize:])
	}
	h.Add(one)
	return len(row), nil
}

// Add adds another part of the table.
func (h *RowHash) Add(part RowHash) {
	h.rows += part.rows
	var carry uint64
	for i := words - 1; i >= 0; i-- {
		h.sum[i], carry = bits.Add64(h.sum[i], part.sum[i], carry)
	}
}

// Rows returns the number of rows.
func (h *RowHash) Rows() int64 { return h.rows }

// String returns the sum in hexadecimal.
func (h *RowHash) String() string {
	var digest []byte
	for _, word := range h.sum {
		digest = binary.BigEndian.AppendUint64(digest, word)
	}
	return hex.EncodeToString(digest)
}
