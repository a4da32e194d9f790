// Package archive says what a backup is: what it records of a database, when two databases are equal, and how
// long it is kept.
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

// Content is what a database holds at one moment, in a form that can be compared.
type Content struct {
	// Tables are sorted by schema and name, as Sequences are.
	Tables    []Table    `json:"tables"`
	Sequences []Sequence `json:"sequences"`
	// Roles are those that own something or are granted something. A copy needs them before it is restored.
	Roles []string `json:"roles"`
	// Schema is the SHA-256, in hexadecimal, of the statements that make the database without its rows: tables,
	// indexes, constraints, owners, grants and all else that pg_dump knows.
	Schema string `json:"schema"`
	// Objects are the parts of Schema, in its order; none in older manifests. The order does not matter.
	Objects []Object `json:"objects,omitempty"`
	// Definition is a dump of the schema alone, which a server can read back. It is not stored.
	Definition []byte `json:"-"`
}

// Table is a table's rows.
type Table struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	// Hash is the sum of the SHA-256 of each row as COPY writes it, modulo 2²⁵⁶ and in hexadecimal: the rows'
	// order does not matter.
	Hash string `json:"hash"`
	// Generated are the columns that the server computes from the others, and Given is the hash without them;
	// both are empty if there are none, and in older manifests.
	Generated []string `json:"generated,omitempty"`
	Given     string   `json:"given,omitempty"`
}

// Object is a part of the schema, such as an index or what is granted on a table.
type Object struct {
	// Name is its kind and its name, such as "index public.entry_by_account".
	Name string `json:"name"`
	// Hash is the SHA-256 of the statements that make it, in hexadecimal.
	Hash string `json:"hash"`
}

// Sequence is a sequence's state.
type Sequence struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Value  int64  `json:"value"`
	// Called says that the next value is the one after Value, and not Value itself.
	Called bool `json:"called"`
}

// Rows is the number of rows in all tables.
func (c Content) Rows() (rows int64) {
	for _, table := range c.Tables {
		rows += table.Rows
	}
	return rows
}

// Differences says where the content other, which should be equal, is not, each in a sentence.
func (c Content) Differences(other Content) []string {
	differences := compare("table", byName(c.Tables, Table.name), byName(other.Tables, Table.name),
		func(a, b Table) string {
			switch {
			case a.Rows != b.Rows:
				return fmt.Sprintf("has %d rows instead of %d", b.Rows, a.Rows)
			case a.Hash != b.Hash && !a.isRecomputed(b):
				return fmt.Sprintf("has other values in its %d rows", a.Rows)
			}
			return ""
		})
	differences = append(differences,
		compare("sequence", byName(c.Sequences, Sequence.name), byName(other.Sequences, Sequence.name),
			func(a, b Sequence) string {
				if a != b {
					return fmt.Sprintf("is at %s instead of %s", b.state(), a.state())
				}
				return ""
			})...)
	self := func(role string) string { return role }
	differences = append(differences,
		compare("role", byName(c.Roles, self), byName(other.Roles, self),
			func(_, _ string) string { return "" })...)
	return append(differences, c.otherObjects(other)...)
}

// otherObjects says where the schema of other is another one.
func (c Content) otherObjects(other Content) []string {
	if c.Schema == other.Schema {
		return nil
	}
	if c.Objects == nil || other.Objects == nil {
		return []string{"the schema is another one"}
	}
	want, got := byName(c.Objects, Object.name), byName(other.Objects, Object.name)
	return compare("in the schema,", want, got, func(a, b Object) string {
		if a.Hash != b.Hash {
			return "is another one"
		}
		return ""
	})
}

// WithSchemaOf is the content with the schema of other.
func (c Content) WithSchemaOf(other Content) Content {
	c.Schema, c.Objects = other.Schema, other.Objects
	return c
}

// RecomputedTables returns the tables whose generated columns alone differ in other: its server computed them anew.
func (c Content) RecomputedTables(other Content) (tables []Table) {
	got := byName(other.Tables, Table.name)
	for _, table := range c.Tables {
		if table.isRecomputed(got[table.name()]) {
			tables = append(tables, table)
		}
	}
	return tables
}

// isRecomputed is whether only the values of generated columns differ.
func (t Table) isRecomputed(other Table) bool {
	return t.Hash != other.Hash && t.Given != "" && t.Given == other.Given && t.Rows == other.Rows &&
		slices.Equal(t.Generated, other.Generated)
}

// ReconcileSequences returns for each sequence its state in restored, if that is one between those in before and after,
// and otherwise the one in before. A sequence obeys no snapshot: it goes on while its database is dumped.
func ReconcileSequences(before, after, restored []Sequence) []Sequence {
	bounds, found := byName(after, Sequence.name), byName(restored, Sequence.name)
	states := slices.Clone(before)
	for i, first := range states {
		last, inAfter := bounds[first.name()]
		state, inRestored := found[first.name()]
		if !inAfter || !inRestored {
			continue
		}
		low, high := first, last
		if low.compare(high) > 0 { // one that counts down
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

func byName[T any](all []T, name func(T) string) map[string]T {
	named := map[string]T{}
	for _, one := range all {
		named[name(one)] = one
	}
	return named
}

func compare[T any](kind string, want, got map[string]T,
	differ func(want, got T) string) (differences []string) {
	both := maps.Clone(want)
	maps.Copy(both, got)
	for _, name := range slices.Sorted(maps.Keys(both)) {
		w, wanted := want[name]
		g, there := got[name]
		switch {
		case !there:
			differences = append(differences, fmt.Sprintf("%s %s is missing", kind, name))
		case !wanted:
			differences = append(differences, fmt.Sprintf("%s %s is one too many", kind, name))
		default:
			if how := differ(w, g); how != "" {
				differences = append(differences, fmt.Sprintf("%s %s %s", kind, name, how))
			}
		}
	}
	return differences
}

// RowHash sums the hashes of a table's rows. The zero value is that of an empty table.
type RowHash struct {
	rows int64
	sum  [words]uint64 // the highest first
}

const (
	wordSize = 8 // bytes
	words    = sha256.Size / wordSize
)

// Write adds one row, and leaves nothing for the garbage collector.
func (h *RowHash) Write(row []byte) (int, error) {
	digest := sha256.Sum256(row)
	one := RowHash{rows: 1}
	for i := range one.sum {
		one.sum[i] = binary.BigEndian.Uint64(digest[i*wordSize:])
	}
	h.Add(one)
	return len(row), nil
}

// Add adds the rows of another part of the table.
func (h *RowHash) Add(part RowHash) {
	h.rows += part.rows
	var carry uint64
	for i := words - 1; i >= 0; i-- {
		h.sum[i], carry = bits.Add64(h.sum[i], part.sum[i], carry)
	}
}

// Rows is how many there were.
func (h *RowHash) Rows() int64 { return h.rows }

// String is the sum modulo 2²⁵⁶ in hexadecimal.
func (h *RowHash) String() string {
	var digest []byte
	for _, word := range h.sum {
		digest = binary.BigEndian.AppendUint64(digest, word)
	}
	return hex.EncodeToString(digest)
}
