package pgbackrest

import (
	"cmp"
	"regexp"
	"slices"
	"time"
)

// PluginFolder is where plugin-barman-cloud archives for CloudNativePG, beside Folder. It uses no pgBackRest.
const PluginFolder = "barman"

// Object is a file of an archive.
type Object struct {
	// Path begins with Folder or PluginFolder.
	Path   string
	Size   int64
	Stored time.Time
}

// Summary is what the names of its files tell of an archive. All but Size is of the last server to archive.
type Summary struct {
	Size int64
	// Server is its stanza or, of the plugin, its folder, such as barman/postgres-1; "" without any log.
	Server string
	// Last is when the newest file of the log was stored; zero if there is none.
	Last time.Time
	// Base is when the newest base backup began, and First when the oldest one was stored; zero without any.
	Base, First time.Time
	// Gap says that log is missing after the newest base backup.
	Gap bool
}

// layouts are how pgBackRest and the plugin name files of the log and of base backups. The expressions find
// the server, and the segment or the time.
var layouts = []struct {
	segment, base *regexp.Regexp
	time          string
}{
	{regexp.MustCompile(`^wal/archive/([^/]+)/.*/([0-9A-F]{24})-[0-9a-f]{40}`),
		regexp.MustCompile(`^wal/backup/([^/]+)/(\d{8}-\d{6})F/`), "20060102-150405"},
	{regexp.MustCompile(`^(barman/[^/]+)/wals/.*/([0-9A-F]{24})(?:\.gz)?$`),
		regexp.MustCompile(`^(barman/[^/]+)/base/(\d{8}T\d{6})/data\.tar`), "20060102T150405"},
}

// baseBackups has when the newest base backup of a server began, and when its oldest one was stored.
type baseBackups struct{ newest, first time.Time }

// Summarize reads names, sizes and times alone, so it needs neither passphrase nor pgBackRest.
func Summarize(objects []Object) (sum Summary) {
	segments, based := map[string][]Segment{}, map[string]baseBackups{}
	for _, o := range objects {
		sum.Size += o.Size
		for _, layout := range layouts {
			if found := layout.segment.FindStringSubmatch(o.Path); found != nil {
				segments[found[1]] = append(segments[found[1]], Segment{Name: found[2], Stored: o.Stored})
				if o.Stored.After(sum.Last) {
					sum.Last, sum.Server = o.Stored, found[1]
				}
			}
			if found := layout.base.FindStringSubmatch(o.Path); found != nil {
				based[found[1]] = based[found[1]].with(layout.time, found[2], o.Stored)
			}
		}
	}
	sum.Base, sum.First = based[sum.Server].newest, based[sum.Server].first
	sum.Gap = hasGap(segments[sum.Server], sum.Base)
	return sum
}

func (b baseBackups) with(layout, text string, stored time.Time) baseBackups {
	if began, err := time.Parse(layout, text); err == nil && began.After(b.newest) {
		b.newest = began
	}
	if b.first.IsZero() || stored.Before(b.first) {
		b.first = stored
	}
	return b
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
