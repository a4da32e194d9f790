package pgbackrest

import (
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // the checksum that pgBackRest keeps
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

// Stanza is the archive of one server.
type Stanza struct {
	Name string
	// Backups are the complete base backups, oldest first.
	Backups []Backup
	// Future are base backups dated in the future by a wrong clock. If all are, this clock is wrong, and Future
	// is empty.
	Future []Backup
	// Segments are the files of the log, oldest first.
	Segments []Segment
	// Changed is when the newest file was stored.
	Changed time.Time
	// Unreadable says why the stanza cannot be used, for example because it has another passphrase; nil if it
	// can. It is ErrIncomplete if no passphrase helps.
	Unreadable error
}

// Backup is a base backup.
type Backup struct {
	Stanza, Label string
	Started       time.Time
	// Ended is the first second at which it was complete.
	Ended time.Time
	// first is the name of the segment that replay starts with.
	first string
}

// Segment is a file of the log.
type Segment struct {
	// Name has 24 hexadecimal digits: the timeline, and the position on it.
	Name   string
	Stored time.Time
	// sha1 is the checksum before compression, in hexadecimal.
	sha1 string
}

// ClockSkew is how far clocks may differ.
const ClockSkew = time.Hour

var (
	// errPassphrase is why a stanza is unreadable if its name has the suffix of another passphrase.
	errPassphrase = errors.New("it was encrypted with another passphrase, or with none")
	// ErrIncomplete says that a stanza has lost its index files, for example because its deletion was cut short.
	ErrIncomplete = errors.New("the files that say what is in it are missing")
)

// System returns the system identifier of the server.
func (s Stanza) System() string { return system(s.Name) }
func (b Backup) System() string { return system(b.Stanza) }

func system(stanza string) string {
	system, _, _ := strings.Cut(stanza, "-")
	return system
}

// IsAfterRollback tells whether this is another archive of a server that was set back to an earlier state.
func (s Stanza) IsAfterRollback() bool { return strings.Contains(s.identity(), "-") }

// identity is the argument that StanzaName made the name of.
func (s Stanza) identity() string { return passphraseSuffix.ReplaceAllString(s.Name, "") }

var passphraseSuffix = regexp.MustCompile(`-[0-9a-f]{8}$`)

// HasDifferent tells whether the stanza has a segment with the name of a file and other content.
func (s Stanza) HasDifferent(file string) (bool, error) {
	i := slices.IndexFunc(s.Segments, func(s Segment) bool { return s.Name == filepath.Base(file) })
	if i < 0 {
		return false, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	return checksum(content) != s.Segments[i].sha1, nil
}

func checksum(content []byte) string {
	return fmt.Sprintf("%x", sha1.Sum(content)) //nolint:gosec // it tells damage, not forgery
}

// Stanzas lists everything in the archive, including what cannot be used.
func (a *Archive) Stanzas(ctx context.Context) ([]Stanza, error) {
	if a.isPlain() {
		return nil, nil
	}
	names, err := a.list(ctx, logFolder)
	if err != nil {
		return nil, err
	}
	backups, err := a.list(ctx, backupFolder)
	if err != nil {
		return nil, err
	}
	maps.Copy(names, backups)
	delete(names, ".")
	var stanzas []Stanza
	for _, name := range slices.Sorted(maps.Keys(names)) {
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
	if a.StanzaName(s.identity()) != name {
		s.Unreadable = errPassphrase
		return s, nil
	}
	backups, unreadable, err := a.backups(ctx, name)
	s.Unreadable = unreadable
	s.Backups, s.Future = splitFuture(backups, time.Now())
	return s, err
}

func splitFuture(backups []Backup, now time.Time) (past, future []Backup) {
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

// Status codes and messages of a stanza; other messages may be transient.
// Source: https://pgbackrest.org/command.html#command-info
const (
	codeOK, codeNoPath, codeNoBackup, codeNoData = 0, 1, 2, 3
	missingIndex                                 = "[FileMissingError]"
)

var damagedIndex = regexp.MustCompile(
	`^\[(FormatError|JsonFormatError|ChecksumError|CryptoError|FileOpenError)\]`)

// backups returns the complete base backups, oldest first, or why the stanza is unreadable.
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
		return nil, nil, fmt.Errorf("parse the output of %s info: %w", program, err)
	}
	for _, i := range all {
		for _, repository := range i.Repo {
			s := repository.Status
			switch message := fmt.Errorf("%s info: %s", program, oneLine(s.Message)); {
			case s.Code == codeNoPath, s.Code == codeNoData, strings.HasPrefix(s.Message, missingIndex):
				return nil, ErrIncomplete, nil
			case damagedIndex.MatchString(s.Message):
				return nil, message, nil
			case s.Code != codeOK && s.Code != codeNoBackup:
				return nil, nil, message
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

// file is a file of the archive, or a folder, which has no time.
type file struct{ Time int64 }

var segmentFile = regexp.MustCompile(`^([0-9A-F]{24})-([0-9a-f]{40})`)

// list returns the files and folders in a folder by name.
func (a *Archive) list(ctx context.Context, dir string, args ...string) (map[string]file, error) {
	out, err := a.run(ctx, nil, "repo-ls", append(args, "--output=json", dir)...)
	if err != nil {
		return nil, err
	}
	var files map[string]file
	if err := json.Unmarshal(out, &files); err != nil {
		return nil, fmt.Errorf("parse the output of %s repo-ls: %w", program, err)
	}
	return files, nil
}

// Span is a period in which a server can be restored to any second.
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
