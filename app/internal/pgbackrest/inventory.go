package pgbackrest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stanza is what one server has archived.
type Stanza struct {
	Name string
	// Backups are those that are complete, oldest first.
	Backups []Backup
	// Segments are the log, oldest first.
	Segments []Segment
	// Changed is when the newest file was stored.
	Changed time.Time
	// Unreadable is why it cannot be used, such as that it was encrypted with another passphrase; nil if it can.
	Unreadable error
}

// Backup is a base backup.
type Backup struct {
	Stanza, Label string
	Ended         time.Time
	// Size is that of the server's files, in bytes.
	Size int64
	// first is the name of the segment that the server has to begin with.
	first string
}

// Segment is a file of the log.
type Segment struct {
	// Name is 24 hexadecimal digits: the timeline, and the place on it.
	Name   string
	Stored time.Time
}

// Stanzas are all that the archive holds.
func (a *Archive) Stanzas(ctx context.Context) ([]Stanza, error) {
	names, err := a.list(ctx, "archive")
	if err != nil {
		return nil, err
	}
	out, err := a.run(ctx, nil, "info", "--output=json")
	if err != nil {
		return nil, err
	}
	var all []info
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, fmt.Errorf("read what %s info says: %w", program, err)
	}
	var stanzas []Stanza
	for _, i := range all {
		if _, there := names[i.Name]; !there {
			return nil, fmt.Errorf("%s info: %w", program, i.err())
		}
		stanza, err := a.stanza(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("look into stanza %s: %w", i.Name, err)
		}
		stanzas = append(stanzas, stanza)
	}
	return stanzas, nil
}

// info is what the program tells of a stanza.
type info struct {
	Name   string
	Backup []struct {
		Archive   struct{ Start string }
		Error     bool
		Info      struct{ Size int64 }
		Label     string
		Timestamp struct{ Stop int64 }
	}
	Repo []struct{ Status status }
}

type status struct {
	Code    int
	Message string
}

// Codes of a stanza that is fine, and of one that has no backup yet.
const fine, noBackup = 0, 2

func (i info) err() error {
	for _, repository := range i.Repo {
		if s := repository.Status; s.Code != fine && s.Code != noBackup {
			message, _, _ := strings.Cut(s.Message, "\n")
			return errors.New(message)
		}
	}
	return nil
}

func (a *Archive) stanza(ctx context.Context, i info) (Stanza, error) {
	s := Stanza{Name: i.Name, Unreadable: i.err()}
	for _, b := range i.Backup {
		if !b.Error {
			s.Backups = append(s.Backups, Backup{
				Stanza: i.Name, Label: b.Label, Ended: time.Unix(b.Timestamp.Stop, 0).UTC(), Size: b.Info.Size, first: b.Archive.Start,
			})
		}
	}
	slices.SortFunc(s.Backups, func(a, b Backup) int { return a.Ended.Compare(b.Ended) })
	files, err := a.list(ctx, path.Join("archive", i.Name), "--recurse")
	if err != nil {
		return s, err
	}
	for name, f := range files {
		stored := time.Unix(f.Time, 0).UTC()
		if stored.After(s.Changed) {
			s.Changed = stored
		}
		if segment, _, _ := strings.Cut(path.Base(name), "-"); segmentName.MatchString(segment) {
			s.Segments = append(s.Segments, Segment{Name: segment, Stored: stored})
		}
	}
	slices.SortFunc(s.Segments, func(a, b Segment) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

var segmentName = regexp.MustCompile(`^[0-9A-F]{24}$`)

// file is one in the archive.
type file struct{ Time int64 }

// list returns the files of a folder by their names.
func (a *Archive) list(ctx context.Context, dir string, args ...string) (map[string]file, error) {
	out, err := a.run(ctx, nil, "repo-ls", append(args, "--output=json", dir)...)
	if err != nil {
		return nil, err
	}
	var files map[string]file
	if err := json.Unmarshal(out, &files); err != nil {
		return nil, fmt.Errorf("read what %s repo-ls says: %w", program, err)
	}
	return files, nil
}

// Span is a time to every second of which a server can be brought back.
type Span struct {
	Backup Backup
	// From is when the base backup ended, To when the last segment that follows on it without a gap was stored.
	From, To time.Time
	// Gap is the name of the first segment after To, if it is missing though later ones are there; empty if none is.
	Gap string
}

// Spans are those of each base backup, oldest first.
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
			next = following(next)
		}
		spans = append(spans, span)
	}
	return spans
}

// following is the name of the segment after one, if segments have the usual 16 MiB.
// Source: https://www.postgresql.org/docs/17/wal-internals.html
func following(segment string) string {
	high, _ := strconv.ParseUint(segment[8:16], 16, 32)
	low, _ := strconv.ParseUint(segment[16:], 16, 32)
	place := high<<8 + low + 1
	return fmt.Sprintf("%s%08X%08X", segment[:8], place>>8, place&0xff)
}
