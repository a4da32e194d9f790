package pgbackrest

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"
)

// Object is a file of the archive.
type Object struct {
	// Path is below Folder.
	Path   string
	Size   int64
	Stored time.Time
}

// Summary is what the names of its files tell of an archive.
type Summary struct {
	Size int64
	// Last is when the newest file of the log was stored; zero if there is none.
	Last time.Time
	// Base is when the newest base backup of the server that archived last began; zero if there is none.
	Base time.Time
	// Gap says that log is missing after the newest base backup of the server that archived last.
	Gap bool
}

// Summarize reads names, sizes and times alone, so it needs neither passphrase nor pgBackRest.
func Summarize(objects []Object) (sum Summary) {
	segments, based := map[string][]Segment{}, map[string]time.Time{}
	last := "" // the stanza of sum.Last
	for _, o := range objects {
		sum.Size += o.Size
		parts := strings.Split(o.Path, "/")
		if len(parts) < 3 {
			continue
		}
		kind, stanza := parts[0], parts[1]
		if began, err := time.Parse("20060102-150405F", parts[2]); kind == backupFolder && err == nil {
			if began.After(based[stanza]) {
				based[stanza] = began
			}
		}
		file := segmentFile.FindStringSubmatch(path.Base(o.Path))
		if kind != logFolder || file == nil {
			continue
		}
		segments[stanza] = append(segments[stanza], Segment{Name: file[1], Stored: o.Stored})
		if o.Stored.After(sum.Last) {
			sum.Last, last = o.Stored, stanza
		}
	}
	sum.Base = based[last]
	sum.Gap = hasGap(segments[last], sum.Base)
	return sum
}

// hasGap tells whether a segment is missing before one that was stored after that time. A server that was
// promoted begins a new timeline, somewhere.
func hasGap(segments []Segment, after time.Time) bool {
	slices.SortFunc(segments, func(a, b Segment) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(segments); i++ {
		before, segment := segments[i-1].Name, segments[i]
		if segment.Name != before && segment.Name != following(before) && segment.Name[:8] == before[:8] &&
			segment.Stored.After(after) {
			return true
		}
	}
	return false
}
