package manifest_test

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
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

func content() manifest.Content {
	return manifest.Content{
		Tables: []manifest.Table{
			{Schema: "public", Name: "ping", Rows: 2, Hash: hash("a", "b")},
			{Schema: "public", Name: "pong", Hash: hash()},
		},
		Sequences: []manifest.Sequence{{"public", "ping_id", 2, true}},
		Roles:     []string{"pingpong", "reader"},
		Schema:    "5c1e",
	}
}

func TestDifferences(t *testing.T) {
	assert.Empty(t, content().Differences(content()))
	assert.Equal(t, int64(2), content().Rows())
	for want, change := range map[string]func(*manifest.Content){
		"table public.pong is missing": func(
			c *manifest.Content) {
			c.Tables = c.Tables[:1]
		},
		"table public.peng is one too many": func(
			c *manifest.Content) {
			c.Tables = append(c.Tables, manifest.Table{Schema: "public", Name: "peng"})
		},
		"table public.ping has 3 rows instead of 2": func(
			c *manifest.Content) {
			c.Tables[0].Rows = 3
		},
		"table public.ping has other values in its 2 rows": func(
			c *manifest.Content) {
			c.Tables[0].Hash = hash("a", "c")
		},
		"sequence public.ping_id is missing": func(
			c *manifest.Content) {
			c.Sequences = nil
		},
		"sequence public.ping_id is at 3 instead of 2": func(
			c *manifest.Content) {
			c.Sequences[0].Value = 3
		},
		"sequence public.ping_id is at 2, not yet used, instead of 2": func(
			c *manifest.Content) {
			c.Sequences[0].Called = false
		},
		"role reader is missing": func(
			c *manifest.Content) {
			c.Roles = c.Roles[:1]
		},
		"role writer is one too many": func(
			c *manifest.Content) {
			c.Roles = append(c.Roles, "writer")
		},
		"the schema is another one": func(
			c *manifest.Content) {
			c.Schema = "5c1f"
		},
	} {
		other := content()
		change(&other)
		assert.Equal(t, []string{want}, content().Differences(other))
	}
}

func TestReconcileSequences(t *testing.T) {
	at := func(value int64, called bool) []manifest.Sequence {
		return []manifest.Sequence{{"public", "id", value, called}}
	}
	for name, c := range map[string]struct {
		before, after, restored []manifest.Sequence
		kept                    bool
	}{
		"still":                {at(5, true), at(5, true), at(5, true), true},
		"still, off by one":    {at(5, true), at(5, true), at(6, true), false},
		"not yet used":         {at(1, false), at(1, false), at(1, true), false},
		"used meanwhile":       {at(1, false), at(1, true), at(1, true), true},
		"went on":              {at(5, true), at(9, true), at(7, true), true},
		"went on, too early":   {at(5, true), at(9, true), at(4, true), false},
		"went on, too late":    {at(5, true), at(9, true), at(10, true), false},
		"counts down":          {at(-5, true), at(-9, true), at(-7, true), true},
		"counts down, too far": {at(-5, true), at(-9, true), at(-10, true), false},
		"dropped":              {at(5, true), nil, at(5, true), false},
		"not restored":         {at(5, true), at(5, true), nil, false},
	} {
		want := c.before
		if c.kept {
			want = c.restored
		}
		assert.Equal(t, want, manifest.ReconcileSequences(c.before, c.after, c.restored), name)
	}
}

func example() manifest.Manifest {
	started := time.Date(2026, 11, 22, 2, 0, 0, 123, time.UTC)
	return manifest.Manifest{
		Version: manifest.Version, Name: "20261122T020001Z-1a2b3c", Database: "pingpong", Server: "17.11",
		Client:  "17.11",
		Started: started, Verified: started.Add(7 * time.Second),
		Dump:    manifest.Dump{Size: 1234, SHA256: hash("dump"), Recipient: "age1xyz"},
		Content: content(), System: "7711158423862165527",
	}
}

func TestManifest(t *testing.T) {
	m := example()
	stored, err := m.Encode()
	require.NoError(t, err)
	read, err := manifest.Decode(stored, m.Name)
	require.NoError(t, err)
	assert.Equal(t, m, read)
	assert.Equal(t, 7*time.Second, read.Duration())

	_, err = manifest.Decode(stored, "20261122T020001Z-000000")
	assert.ErrorContains(t, err, "it belongs to 20261122T020001Z-1a2b3c")
	m.Version++
	newer, err := m.Encode()
	require.NoError(t, err)
	_, err = manifest.Decode(newer, m.Name)
	assert.ErrorContains(t, err, "version 2, which this program does not know")
}

// Every other value of every byte, and every shorter text.
func TestChangedManifestsAreRefused(t *testing.T) {
	stored, err := example().Encode()
	require.NoError(t, err)
	for i, original := range stored {
		for value := range 256 {
			if byte(value) == original {
				continue
			}
			stored[i] = byte(value)
			if _, err := manifest.Decode(stored, example().Name); err == nil {
				assert.Fail(t, "accepted", "%q", stored)
			}
		}
		stored[i] = original
		_, err := manifest.Decode(stored[:i], example().Name)
		assert.Error(t, err, i)
	}
	_, err = manifest.Decode(append(stored, '\n'), example().Name)
	assert.Error(t, err)
}

func TestTheServerOfABackup(t *testing.T) {
	made := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	server := strconv.FormatInt(made.Unix()<<32|4711, 10)
	assert.True(t, manifest.Manifest{System: server}.IsFrom(server))
	assert.False(t, manifest.Manifest{System: "7711158423862165527"}.IsFrom(server))
	for taken, is := range map[time.Time]bool{made.Add(-time.Second): false, made: true,
		made.AddDate(1, 0, 0): true} {
		assert.Equal(t, is, manifest.Manifest{Name: restorepoint.NewBackup(taken)}.IsFrom(server), "an old manifest of %s",
			taken)
	}
}

func TestBackupsOfTheFuture(t *testing.T) {
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	yesterday, soon := restorepoint.NewBackup(now.AddDate(0, 0, -1)), restorepoint.NewBackup(now.Add(time.Minute))
	all := []string{yesterday, soon, restorepoint.NewBackup(now.AddDate(4, 0, 0))}
	assert.Equal(t, all[:2], manifest.WithoutFuture(all, now))
	assert.Equal(t, all, manifest.WithoutFuture(all, now.AddDate(-1, 0, 0)), "this clock is wrong")
	assert.Empty(t, manifest.WithoutFuture(nil, now))
}

// of are manifests of one server.
func of(system string, names ...string) (backups []manifest.Manifest) {
	for _, name := range names {
		backups = append(backups, manifest.Manifest{Name: name, System: system})
	}
	return backups
}

func TestRetention(t *testing.T) {
	now := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	name := func(when string) string {
		at, err := time.Parse("2006-01-02 15:04", when)
		require.NoError(t, err)
		return at.Format("20060102T150405Z") + "-000000"
	}
	for title, c := range map[string]struct {
		r             manifest.Retention
		kept, notKept []string
	}{
		"none": {manifest.Retention{Daily: 7}, nil, nil},
		"the newest, always, and its day": {manifest.Retention{},
			[]string{"2026-11-22 02:00", "2026-11-22 01:00", "2026-11-21 02:01"},
			[]string{"2026-11-21 02:00", "2026-11-20 02:00"}},
		"the newest of each day": {manifest.Retention{Daily: 2},
			[]string{"2026-11-22 02:00", "2026-11-20 23:59"},
			[]string{"2026-11-20 23:58", "2026-11-20 00:00", "2026-11-19 02:00"}},
		"weeks from Monday": {manifest.Retention{Weekly: 3}, // 2026-11-22 is a Sunday
			[]string{"2026-11-22 02:00", "2026-11-15 02:00", "2026-11-08 02:00"},
			[]string{"2026-11-16 02:00", "2026-11-09 02:00", "2026-11-01 02:00"}},
		"weeks over the year's end": {manifest.Retention{Weekly: 2},
			[]string{"2027-01-03 02:00", "2026-12-27 02:00"}, []string{"2026-12-28 02:00", "2027-01-01 02:00"}},
		"months": {manifest.Retention{Monthly: 2},
			[]string{"2026-11-22 02:00", "2026-09-30 02:00"},
			[]string{"2026-11-01 02:00", "2026-09-01 02:00", "2026-08-31 02:00"}},
		"all rules together": {manifest.Retention{Daily: 2, Weekly: 2, Monthly: 2},
			[]string{"2026-11-22 02:00", "2026-11-21 02:00", "2026-11-15 02:00", "2026-10-31 02:00"},
			[]string{"2026-11-20 02:00", "2026-11-14 02:00", "2026-10-30 02:00", "2026-09-30 02:00"}},
		"those of a wrong clock do not count": {manifest.Retention{Daily: 2},
			[]string{"2030-01-02 02:00", "2030-01-01 02:00", "2026-11-22 02:00", "2026-11-21 02:00"},
			[]string{"2026-11-20 02:00"}},
	} {
		var names, want []string
		for _, when := range c.kept {
			names = append(names, name(when))
		}
		for _, when := range c.notKept {
			names, want = append(names, name(when)), append(want, name(when))
		}
		expired, err := c.r.Expired(of("1", names...), now)
		require.NoError(t, err)
		assert.ElementsMatch(t, want, expired, title)
		assert.IsIncreasing(t, append([]string{""}, expired...), title)
	}
	_, err := manifest.Retention{}.Expired(of("1", "last-run.json"), now)
	assert.ErrorContains(t, err, fmt.Sprintf("%q is not the name of a backup", "last-run.json"))
}

// Two years of one backup each night, pruned each night.
func TestRetentionOverTime(t *testing.T) {
	var names []string
	for day := time.Date(2025, 1, 1, 2, 0, 0, 0, time.UTC); day.Year() < 2027; day = day.AddDate(0, 0, 1) {
		names = append(names, restorepoint.NewBackup(day))
		expired, err := manifest.Retention{Daily: 7, Weekly: 4, Monthly: 6}.Expired(of("1", names...), day)
		require.NoError(t, err)
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(expired, name) })
	}
	var days []string
	for _, name := range names {
		days = append(days, name[4:8])
	}
	assert.Equal(t, []string{
		"0731", "0831", "0930", "1031", "1130", // months; December's is the newest
		"1213", "1220", // weeks; the two others end within the last days
		"1225", "1226", "1227", "1228", "1229", "1230", "1231",
	}, days)
}

// The last backup before a loss stays for months, whatever the server that came afterwards backs up.
func TestRetentionOverALoss(t *testing.T) {
	lost := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	last := restorepoint.NewBackup(lost.Add(-time.Hour))
	backups := of("1", last)
	isLast := func(m manifest.Manifest) bool { return m.Name == last }
	for now := lost; now.Before(lost.AddDate(1, 0, 0)); now = now.AddDate(0, 0, 1) {
		backups = append(backups, of("2", restorepoint.NewBackup(now))...)
		expired, err := manifest.Retention{Daily: 7, Weekly: 4, Monthly: 6}.Expired(backups, now)
		require.NoError(t, err)
		backups = slices.DeleteFunc(backups,
			func(m manifest.Manifest) bool { return slices.Contains(expired, m.Name) })
		kept := now.Before(time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC))
		assert.Equal(t, kept, slices.ContainsFunc(backups, isLast), now)
		assert.LessOrEqual(t, len(backups), 18)
	}
}
