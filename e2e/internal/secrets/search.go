// Package secrets knows the stack's secrets: it looks for them where they must not be, and logs in with them.
package secrets

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	// shortest is the least length of a secret that appears nowhere by chance.
	shortest = 16
	headSize = 8
)

// Search looks for secrets, in every form in which they may be written.
type Search struct {
	Names  map[string]string // the secrets' names, by the forms that it looks for
	Places int               // that were searched
	Bytes  int64
	Found  map[Finding]bool

	heads   map[uint64][]string // forms by their first 8 bytes
	first   [1 << 16]bool       // whether a form starts with these two bytes
	longest int
}

// Finding says where a secret was found.
type Finding struct{ Secret, Place string }

// NewSearch returns a search for nothing yet.
func NewSearch() *Search {
	return &Search{Names: map[string]string{}, heads: map[uint64][]string{}, Found: map[Finding]bool{}}
}

// Add looks for another secret. A short one, which may be anywhere by chance, is an error.
func (s *Search) Add(name, secret string) error {
	for _, part := range secretParts(secret) {
		if len(part) < shortest {
			return fmt.Errorf("%s has a part of %d bytes, which may be anywhere by chance", name, len(part))
		}
		for _, form := range forms(part) {
			if _, known := s.Names[form]; known {
				continue
			}
			s.Names[form] = name
			head := binary.LittleEndian.Uint64([]byte(form))
			s.heads[head] = append(s.heads[head], form)
			s.first[uint16(head)] = true
			s.longest = max(s.longest, len(form))
		}
	}
	return nil
}

var scram = regexp.MustCompile(`SCRAM-SHA-256\$\d+:[^$]+\$([^:]+):([^']+)`)

// secretParts returns the secret parts of a value: the password of a URL, each line of a private key, the
// keys of verifiers.
func secretParts(value string) (parts []string) {
	value = strings.TrimSpace(value)
	if u, err := url.Parse(value); err == nil && u.User != nil {
		if password, set := u.User.Password(); set {
			return []string{password}
		}
	}
	if verifiers := scram.FindAllStringSubmatch(value, -1); verifiers != nil {
		for _, verifier := range verifiers {
			parts = append(parts, verifier[1:]...)
		}
		return parts
	}
	if strings.Contains(value, "PRIVATE KEY-----") {
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
				parts = append(parts, line)
			}
		}
		return parts
	}
	return []string{value}
}

// forms are the text itself, and as JSON, URLs, hexadecimal digits and base64 at any offset write it.
func forms(text string) []string {
	quoted, _ := json.Marshal(text) // a string always can be
	all := map[string]bool{
		text: true, string(quoted[1 : len(quoted)-1]): true,
		url.QueryEscape(text): true, url.PathEscape(text): true,
		hex.EncodeToString([]byte(text)): true,
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			encoded := encoding.EncodeToString([]byte(strings.Repeat(" ", before) + text))
			// Drop characters that also hold bits of the text before and after.
			encoded = encoded[(before*8+5)/6:]
			if (before+len(text))%3 != 0 {
				encoded = encoded[:len(encoded)-1]
			}
			all[encoded] = true
		}
	}
	return slices.Collect(maps.Keys(all))
}

// In searches a place, which may be compressed.
func (s *Search) In(place string, content io.Reader) error {
	buffered := bufio.NewReader(content)
	content = buffered
	magic, _ := buffered.Peek(4) // there may be less
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("unzipping %s: %w", place, err)
		}
		content = unzipped
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		unpacked, err := zstd.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", place, err)
		}
		defer unpacked.Close()
		content = unpacked
	}
	s.Places++
	window, kept := make([]byte, s.longest+1<<18), 0
	for {
		n, err := io.ReadFull(content, window[kept:])
		s.Bytes += int64(n)
		s.within(place, window[:kept+n])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", place, err)
		}
		// A form may continue behind the window.
		kept = copy(window, window[len(window)-s.longest:])
	}
}

func (s *Search) within(place string, text []byte) {
	for i := range max(0, len(text)-headSize+1) {
		if !s.first[binary.LittleEndian.Uint16(text[i:])] {
			continue
		}
		for _, form := range s.heads[binary.LittleEndian.Uint64(text[i:])] {
			if bytes.HasPrefix(text[i:], []byte(form)) {
				s.Found[Finding{s.Names[form], place}] = true
			}
		}
	}
}
