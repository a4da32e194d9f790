package pgbackrest

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // the checksum that pgBackRest keeps
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
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
	// Future are those that are dated in the future, by a clock that was wrong. If all are, it is this clock,
	// and none is here.
	Future []Backup
	// Segments are the log, oldest first.
	Segments []Segment
	// Changed is when the newest file was stored.
	Changed time.Time
	// Unreadable is why it cannot be used, such as that it was encrypted with another passphrase; nil if it can.
	// It is an ErrIncomplete if nobody can.
	Unreadable error
}

// System is the identifier of the server.
func (s Stanza) System() string { return system(s.Name) }
func (b Backup) System() string { return system(b.Stanza) }

func system(stanza string) string {
	system, _, _ := strings.Cut(stanza, "-")
	return system
}

// IsAfterRollback is whether the server had archived otherwise before, and then was set back to an earlier
// state.
func (s Stanza) IsAfterRollback() bool { return strings.Contains(s.identity(), "-") }

// identity is that by which Stanza names it.
func (s Stanza) identity() string { return ofPassphrase.ReplaceAllString(s.Name, "") }

var ofPassphrase = regexp.MustCompile(`-[0-9a-f]{8}$`)

// HasDifferent is whether the stanza has another segment by the name of a file of the log.
func (s Stanza) HasDifferent(file string) (bool, error) {
	isIt := func(segment Segment) bool { return segment.Name == filepath.Base(file) }
	i := slices.IndexFunc(s.Segments, isIt)
	if i < 0 {
		return false, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	return checksum(content) != s.Segments[i].sha1, nil
}

// checksum is the one that pgBackRest keeps of a segment.
func checksum(content []byte) string {
	sum := sha1.Sum(content) //nolint:gosec // it tells damage, not forgery
	return hex.EncodeToString(sum[:])
}

// Backup is a base backup.
type Backup struct {
	Stanza, Label string
	Started       time.Time
	// Ended is the first second when it was complete.
	Ended time.Time
	// first is the name of the segment that the server has to begin with.
	first string
}

// Segment is a file of the log.
type Segment struct {
	// Name is 24 hexadecimal digits: the timeline, and the place on it.
	Name   string
	Stored time.Time
	// sha1 is that of the file before it was compressed, in hexadecimal.
	sha1 string
}

// errPassphrase is why a stanza with another name than that which the passphrase gives it cannot be read.
var errPassphrase = errors.New("it was encrypted with another passphrase, or with none")

// ErrIncomplete says that a stanza lacks the files that say what is in it, as one does whose deletion was cut
// short.
var ErrIncomplete = errors.New("the files that say what is in it are missing")

// Stanzas are all that the archive holds, also what cannot be used of it.
func (a *Archive) Stanzas(ctx context.Context) ([]Stanza, error) {
	if a.isPlain() {
		return nil, nil
	}
	folders, err := a.list(ctx, logFolder)
	if err != nil {
		return nil, err
	}
	backups, err := a.list(ctx, backupFolder)
	if err != nil {
		return nil, err
	}
	maps.Copy(folders, backups)
	delete(folders, ".")
	var stanzas []Stanza
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		stanza, err := a.stanza(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look into stanza %s: %w", name, err)
		}
		stanzas = append(stanzas, stanza)
	}
	return stanzas, nil
}

func (a *Archive) stanza(ctx context.Context, name string) (Stanza, error) {
	s := Stanza{Name: name}
	files, err := a.list(ctx, path.Join(logFolder, name), "--recurse")
	if err != nil {
		return s, err
	}
	for file, f := range files {
		stored := time.Unix(f.Time, 0).UTC()
		if stored.After(s.Changed) {
			s.Changed = stored
		}
		if parts := segmentFile.FindStringSubmatch(path.Base(file)); parts != nil {
			s.Segments = append(s.Segments, Segment{Name: parts[1], Stored: stored, sha1: parts[2]})
		}
	}
	slices.SortFunc(s.Segments, func(a, b Segment) int { return cmp.Compare(a.Name, b.Name) })
	if a.Stanza(s.identity()) != name {
		s.Unreadable = errPassphrase
		return s, nil
	}
	backups, unreadable, err := a.backups(ctx, name)
	s.Unreadable = unreadable
	s.Backups, s.Future = divide(backups, time.Now())
	return s, err
}

// ClockSkew is how far clocks may differ.
const ClockSkew = time.Hour

func divide(backups []Backup, now time.Time) (past, future []Backup) {
	for _, b := range backups {
		if b.Ended.After(now.Add(ClockSkew)) {
			future = append(future, b)
		} else {
			past = append(past, b)
		}
	}
	if len(past) == 0 {
		return backups, nil
	}
	return past, future
}

// backups are those that are complete, oldest first. Unreadable is why the stanza cannot be used; nil if it
// can.
func (a *Archive) backups(ctx context.Context, stanza string) (backups []Backup, unreadable, err error) {
	out, err := a.run(ctx, nil, "info", "--stanza="+stanza, "--output=json")
	if err != nil {
		return nil, nil, err
	}
	var all []struct {
		Backup []struct {
			Archive   struct{ Start string }
			Error     bool
			Label     string
			Timestamp struct{ Start, Stop int64 }
		}
		Repo []struct {
			Status struct {
				Code    int
				Message string
			}
		}
	}
	if err := json.Unmarshal(out, &all); err != nil {
		return nil, nil, fmt.Errorf("read what %s info says: %w", program, err)
	}
	for _, i := range all {
		for _, repository := range i.Repo {
			s := repository.Status
			switch said := fmt.Errorf("%s info: %s", program, strings.Join(strings.Fields(s.Message), " ")); {
			case s.Code == noPath, s.Code == noData, strings.HasPrefix(s.Message, noFile):
				return nil, ErrIncomplete, nil
			case damaged.MatchString(s.Message):
				return nil, said, nil
			case s.Code != fine && s.Code != noBackup:
				return nil, nil, said
			}
		}
		for _, b := range i.Backup {
			if !b.Error {
				backups = append(backups, Backup{
					Stanza: stanza, Label: b.Label, first: b.Archive.Start,
					Started: time.Unix(b.Timestamp.Start, 0).UTC(), Ended: time.Unix(b.Timestamp.Stop+1, 0).UTC(),
				})
			}
		}
	}
	slices.SortFunc(backups, func(a, b Backup) int { return a.Ended.Compare(b.Ended) })
	return backups, nil, nil
}

// Codes of a stanza that is fine, of one that has no backup yet, and of one of which something is missing.
// Source: https://pgbackrest.org/command.html#command-info
const fine, noPath, noBackup, noData = 0, 1, 2, 3

// What is said of a stanza whose files that say what is in it are missing, or are not what they were. Other
// errors may pass.
const noFile = "[FileMissingError]"

var damaged = regexp.MustCompile(`^\[(FormatError|JsonFormatError|ChecksumError|CryptoError|FileOpenError)\]`)

// list returns the files and folders of a folder by their names.
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

// file is one in the archive, or a folder, which has no time.
type file struct{ Time int64 }

var segmentFile = regexp.MustCompile(`^([0-9A-F]{24})-([0-9a-f]{40})`)

// Span is a time to every second of which a server can be brought back.
type Span struct {
	Backup Backup
	// From is when the base backup ended, To when the last segment that follows on it without a gap was stored.
	From, To time.Time
	// last is that segment.
	last Segment
	// Gap is the name of the first segment after To, if it is missing though later ones are there; empty if none
	// is.
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
			span.last, next = segment, following(next)
		}
		spans = append(spans, span)
	}
	return spans
}

// End is a place in the last segment that a server which has replayed all of the log has passed, such as
// 0/3000000.
func (s Span) End() string {
	if s.last.Name == "" {
		return "0/0"
	}
	high, low := place(s.last.Name)
	return fmt.Sprintf("%X/%X", high, low<<24)
}

// following is the name of the segment after one, if segments have the usual 16 MiB.
// Source: https://www.postgresql.org/docs/17/wal-internals.html
func following(segment string) string {
	high, low := place(segment)
	next := high<<8 + low + 1
	return fmt.Sprintf("%s%08X%08X", segment[:8], next>>8, next&0xff)
}

// place is that of a segment in the log: the upper and the lower half of its name.
func place(segment string) (high, low uint64) {
	high, _ = strconv.ParseUint(segment[8:16], 16, 32) // it has digits alone
	low, _ = strconv.ParseUint(segment[16:], 16, 32)
	return high, low
}
