package e2e

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
	// shortest is what something secret has at least, so that it stands nowhere by chance.
	shortest = 16
	headSize = 8
)

// search looks for secrets, in every form in which they may stand somewhere.
type search struct {
	names map[string]string // of the secrets, by what is looked for
	heads map[uint64][]string
	first [1 << 16]bool // whether something that is looked for begins with these two bytes

	longest int
	places  int
	bytes   int64
	found   map[finding]bool
}

// finding says where a secret was found.
type finding struct{ secret, place string }

func newSearch() *search {
	return &search{names: map[string]string{}, heads: map[uint64][]string{}, found: map[finding]bool{}}
}

// add has a secret looked for too. It fails on one that is too short.
func (s *search) add(name, secret string) error {
	for _, part := range secretParts(secret) {
		if len(part) < shortest {
			return fmt.Errorf("%s has a part of %d bytes, which may stand anywhere by chance", name, len(part))
		}
		for _, form := range forms(part) {
			if _, known := s.names[form]; known {
				continue
			}
			s.names[form] = name
			head := binary.LittleEndian.Uint64([]byte(form))
			s.heads[head] = append(s.heads[head], form)
			s.first[uint16(head)] = true
			s.longest = max(s.longest, len(form))
		}
	}
	return nil
}

var scram = regexp.MustCompile(`SCRAM-SHA-256\$\d+:[^$]+\$([^:]+):([^']+)`)

// secretParts are what is secret about a value: of URLs the password, of private keys each line, of verifiers
// the keys.
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

// forms are the text itself and as it stands in JSON, URLs, hexadecimal digits and base64, wherever in it.
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
			// Characters that also hold bits of what is before and after go.
			encoded = encoded[(before*8+5)/6:]
			if (before+len(text))%3 != 0 {
				encoded = encoded[:len(encoded)-1]
			}
			all[encoded] = true
		}
	}
	return slices.Collect(maps.Keys(all))
}

// in searches a place, which may be compressed.
func (s *search) in(place string, content io.Reader) error {
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
	s.places++
	window, kept := make([]byte, s.longest+1<<18), 0
	for {
		n, err := io.ReadFull(content, window[kept:])
		s.bytes += int64(n)
		s.within(place, window[:kept+n])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", place, err)
		}
		// What is looked for may go on behind the window.
		kept = copy(window, window[len(window)-s.longest:])
	}
}

func (s *search) within(place string, text []byte) {
	for i := range max(0, len(text)-headSize+1) {
		if !s.first[binary.LittleEndian.Uint16(text[i:])] {
			continue
		}
		for _, form := range s.heads[binary.LittleEndian.Uint64(text[i:])] {
			if bytes.HasPrefix(text[i:], []byte(form)) {
				s.found[finding{s.names[form], place}] = true
			}
		}
	}
}
