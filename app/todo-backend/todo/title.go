package todo

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxTitle is the length of a title in code points. The table has the same limit.
const MaxTitle = 140

// Title is one line of visible text. Only ParseTitle makes one.
type Title string

// ParseTitle trims white space. Its error is an InvalidError that names the broken rule:
//
//   - A title has 1 to MaxTitle code points.
//   - It is visible: not all of it is white space and invisible format characters.
//   - It is one line: no control characters (Unicode's category Cc), no line or paragraph separators.
//   - It reads as it is written: no characters that change the direction of text, as in CVE-2021-42574.
//   - It is undamaged: no U+FFFD, which decoders put in place of broken text such as half a surrogate pair.
//
// The table of todos has the same rules.
func ParseTitle(text string) (Title, error) {
	text = strings.TrimSpace(text)
	if strings.TrimFunc(text, invisible) == "" {
		return "", InvalidError("the title is empty")
	}
	if n := utf8.RuneCountInString(text); n > MaxTitle {
		return "", InvalidError(fmt.Sprintf("the title has %d characters; %d are allowed", n, MaxTitle))
	}
	for _, r := range text {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return "", InvalidError(fmt.Sprintf(
				"the title contains the control character %U; it has to be one line of text", r))
		case '\u202A' <= r && r <= '\u202E', '\u2066' <= r && r <= '\u2069':
			return "", InvalidError(fmt.Sprintf("the title contains %U, which changes the direction of text", r))
		case r == utf8.RuneError:
			return "", InvalidError("the title contains U+FFFD, which stands for damaged characters")
		}
	}
	return Title(text), nil
}

// invisible reports white space and characters that only shape or join their neighbours.
func invisible(r rune) bool {
	switch r {
	case '\u00AD', '\u061C', '\u180E', '\uFEFF':
		return true
	}
	return unicode.IsSpace(r) || '\u200B' <= r && r <= '\u200F' || '\u2060' <= r && r <= '\u206F'
}
