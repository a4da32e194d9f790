// Package manifest says what a backup is: what it records of a database, when two databases are equal, and
// how long it is kept.
package manifest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/bits"
	"slices"
)

// Migrations is the table in which goose records the migrations of an app.
const Migrations = "public.goose_db_version"

// Content is a database at one moment, in a form that can be compared.
type Content struct {
	// Tables and Sequences are sorted by schema and name.
	Tables    []Table    `json:"tables"`
	Sequences []Sequence `json:"sequences"`
	// Roles are what the database refers to. They must exist before a restore.
	Roles []string `json:"roles"`
	// Schema is the SHA-256, in hexadecimal, of the statements of pg_dump that make the database without its
	// rows: tables, indexes, constraints, owners, grants and so on.
	Schema string `json:"schema"`
	// Objects are the parts of Schema, in its order, which does not matter; none in older manifests.
	Objects []Object `json:"objects,omitempty"`
	// Definition is a dump of the schema alone. It is not stored.
	Definition []byte `json:"-"`
}

// Table is a table's rows.
type Table struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	// Hash is the sum of the SHA-256 of each row as COPY writes it, modulo 2²⁵⁶ and in hexadecimal. So the
	// order of rows does not matter.
	Hash string `json:"hash"`
	// Generated are the columns that the server computes from others, and Given is the hash without them. Both
	// are empty if there are none, and in older manifests.
	Generated []string `json:"generated,omitempty"`
	Given     string   `json:"given,omitempty"`
}

// Object is a part of the schema, such as an index or the grants on a table.
type Object struct {
	// Name is its kind and its name, such as "index public.entry_by_account".
	Name string `json:"name"`
	// Hash is the SHA-256 of its statements, in hexadecimal.
	Hash string `json:"hash"`
}

// Sequence is the state of a sequence.
type Sequence struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Value  int64  `json:"value"`
	// Called says that the next value is the one after Value, and not Value itself.
	Called bool `json:"called"`
}

// Rows returns the number of rows in all tables.
func (c Content) Rows() (rows int64) {
	for _, table := range c.Tables {
		rows += table.Rows
	}
	return rows
}

// IsUnused tells whether no table but Migrations has rows. An app fills that one immediately in the empty
// database of a lost volume.
func (c Content) IsUnused() bool {
	return !slices.ContainsFunc(c.Tables, func(t Table) bool { return t.Rows > 0 && t.name() != Migrations })
}

// Differences describes each difference of other, which should be equal.
func (c Content) Differences(other Content) []string {
	tables := compare("table", c.Tables, other.Tables, Table.name, func(a, b Table) string {
		switch {
		case a.Rows != b.Rows:
			return fmt.Sprintf("has %d rows instead of %d", b.Rows, a.Rows)
		case a.Hash != b.Hash && !a.isRecomputed(b):
			return fmt.Sprintf("has other values in its %d rows", a.Rows)
		}
		return ""
	})
	sequences := compare("sequence", c.Sequences, other.Sequences, Sequence.name, func(a, b Sequence) string {
		if a != b {
			return fmt.Sprintf("is at %s instead of %s", b.state(), a.state())
		}
		return ""
	})
	roles := compare("role", c.Roles, other.Roles, func(role string) string { return role },
		func(_, _ string) string { return "" })
	return slices.Concat(tables, sequences, roles, c.schemaDifferences(other))
}

func (c Content) schemaDifferences(other Content) []string {
	if c.Schema == other.Schema {
		return nil
	}
	if c.Objects == nil || other.Objects == nil {
		return []string{"the schema is another one"}
	}
	return compare("in the schema,", c.Objects, other.Objects, Object.name, func(a, b Object) string {
		if a.Hash != b.Hash {
			return "is another one"
		}
		return ""
	})
}

// compare describes what is missing, what is one too many, and what differs.
func compare[T any](kind string, want, got []T, name func(T) string, differ func(want, got T) string) (
	differences []string) {
	wanted, found := byName(want, name), byName(got, name)
	both := maps.Clone(wanted)
	maps.Copy(both, found)
	for _, name := range slices.Sorted(maps.Keys(both)) {
		w, isWanted := wanted[name]
		g, isThere := found[name]
		difference := ""
		switch {
		case !isThere:
			difference = "is missing"
		case !isWanted:
			difference = "is one too many"
		default:
			difference = differ(w, g)
		}
		if difference != "" {
			differences = append(differences, fmt.Sprintf("%s %s %s", kind, name, difference))
		}
	}
	return differences
}

func byName[T any](all []T, name func(T) string) map[string]T {
	named := map[string]T{}
	for _, one := range all {
		named[name(one)] = one
	}
	return named
}

// WithSchemaOf returns the content with the schema of other.
func (c Content) WithSchemaOf(other Content) Content {
	c.Schema, c.Objects = other.Schema, other.Objects
	return c
}

// RecomputedTables returns the tables that differ from other only in generated columns, which other's server
// has computed again.
func (c Content) RecomputedTables(other Content) (tables []Table) {
	got := byName(other.Tables, Table.name)
	for _, table := range c.Tables {
		if table.isRecomputed(got[table.name()]) {
			tables = append(tables, table)
		}
	}
	return tables
}

// isRecomputed tells whether only generated columns differ.
func (t Table) isRecomputed(other Table) bool {
	return t.Hash != other.Hash && t.Given != "" && t.Given == other.Given && t.Rows == other.Rows &&
		slices.Equal(t.Generated, other.Generated)
}

// ReconcileSequences returns the state of each sequence in restored if it lies between its states in before
// and after, and its state in before otherwise. Sequences ignore snapshots, and advance while their database
// is dumped.
func ReconcileSequences(before, after, restored []Sequence) []Sequence {
	bounds, found := byName(after, Sequence.name), byName(restored, Sequence.name)
	states := slices.Clone(before)
	for i, low := range states {
		high, inAfter := bounds[low.name()]
		state, inRestored := found[low.name()]
		if !inAfter || !inRestored {
			continue
		}
		if low.compare(high) > 0 { // it counts down
			low, high = high, low
		}
		if low.compare(state) <= 0 && state.compare(high) <= 0 {
			states[i] = state
		}
	}
	return states
}

func (t Table) name() string    { return t.Schema + "." + t.Name }
func (s Sequence) name() string { return s.Schema + "." + s.Name }
func (o Object) name() string   { return o.Name }

func (s Sequence) state() string {
	if s.Called {
		return fmt.Sprint(s.Value)
	}
	return fmt.Sprintf("%d, not yet used,", s.Value)
}

func (s Sequence) compare(other Sequence) int {
	called := map[bool]int{true: 1}
	return cmp.Or(cmp.Compare(s.Value, other.Value), cmp.Compare(called[s.Called], called[other.Called]))
}

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
