package pgbackrest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSpansEndAtTheFirstGap(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	segment := func(name string, minute int) Segment {
		return Segment{Name: name, Stored: noon.Add(time.Duration(minute) * time.Minute)}
	}
	s := Stanza{
		Backups: []Backup{
			{Label: "first", Ended: noon, first: "0000000100000000000000FE"},
			{Label: "second", Ended: noon.Add(5 * time.Minute), first: "000000010000000100000003"},
		},
		Segments: []Segment{
			segment("0000000100000000000000FD", -1), segment("0000000100000000000000FE", 1),
			segment("0000000100000000000000FF", 2),
			segment("000000010000000100000000", 3), segment("000000010000000100000002", 4),
			segment("000000010000000100000003", 6),
		},
	}
	spans := s.Spans()
	assert.Len(t, spans, 2)
	assert.Equal(t, noon, spans[0].From)
	assert.Equal(t, noon.Add(3*time.Minute), spans[0].To)
	assert.Equal(t, "000000010000000100000001", spans[0].Gap)
	assert.Equal(t, "1/0", spans[0].EndLSN())
	assert.Equal(t, noon.Add(6*time.Minute), spans[1].To)
	assert.Empty(t, spans[1].Gap)
	assert.Equal(t, "1/3000000", spans[1].EndLSN())
}

func TestEachPassphraseHasStanzasOfItsOwn(t *testing.T) {
	assert.Equal(t, "7711", (&Archive{}).StanzaName("7711"))
	for identity, isSetBack := range map[string]bool{"7711": false, "7711-2": true} {
		for _, archive := range []*Archive{{}, {passphrase: "one"}} {
			s := Stanza{Name: archive.StanzaName(identity)}
			assert.Equal(t, identity, s.identity())
			assert.Equal(t, "7711", s.System())
			assert.Equal(t, isSetBack, s.IsAfterRollback())
		}
	}
	one, other := &Archive{passphrase: "one"}, &Archive{passphrase: "other"}
	assert.Regexp(t, `^7711-[0-9a-f]{8}$`, one.StanzaName("7711"))
	assert.NotEqual(t, one.StanzaName("7711"), other.StanzaName("7711"))
}

func TestBaseBackupsOfTheFuture(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	all := []Backup{{Ended: now.AddDate(0, 0, -1)}, {Ended: now.Add(time.Minute)}, {Ended: now.AddDate(4, 0, 0)}}
	past, future := splitFuture(all, now)
	assert.Equal(t, all[:2], past)
	assert.Equal(t, all[2:], future)
	past, future = splitFuture(all, now.AddDate(-1, 0, 0))
	assert.Equal(t, all, past, "this clock is wrong")
	assert.Empty(t, future)
}
