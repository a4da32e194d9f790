package pgbackrest

import (
	"fmt"
	"strconv"
	"time"
)

// Span is a period to every second of which a server can be restored.
type Span struct {
	Backup Backup
	// From is the end of the base backup. To is when the last segment that follows without a gap was stored.
	From, To time.Time
	// Gap is the name of the first segment after To if it is missing although later ones exist.
	Gap  string
	last Segment
}

// Spans returns one span for each base backup, oldest first.
func (s Stanza) Spans() (spans []Span) {
	for _, b := range s.Backups {
		span := Span{Backup: b, From: b.Ended, To: b.Ended}
		next := b.first
		for _, segment := range s.Segments {
			if segment.Name < b.first {
				continue
			}
			if segment.Name != next {
				span.Gap = next
				break
			}
			if segment.Stored.After(span.To) {
				span.To = segment.Stored
			}
			span.last, next = segment, following(next)
		}
		spans = append(spans, span)
	}
	return spans
}

// EndLSN returns a position in the last segment, such as 0/3000000. A server that has replayed the whole span
// is past it.
func (s Span) EndLSN() string {
	if s.last.Name == "" {
		return "0/0"
	}
	high, low := position(s.last.Name)
	return fmt.Sprintf("%X/%X", high, low<<24)
}

// following returns the name of the next segment, of the default 16 MiB.
// Source: https://www.postgresql.org/docs/17/wal-internals.html
func following(segment string) string {
	high, low := position(segment)
	next := high<<8 + low + 1
	return fmt.Sprintf("%s%08X%08X", segment[:8], next>>8, next&0xff)
}

// position returns both halves of a segment's position in the log.
func position(segment string) (high, low uint64) {
	high, _ = strconv.ParseUint(segment[8:16], 16, 32) // only hexadecimal digits get here
	low, _ = strconv.ParseUint(segment[16:], 16, 32)
	return high, low
}
