package todo

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const longestTitle = 140 // code points

// Title is what is to be done, in one line that shows what it says. Only ParseTitle makes one.
type Title string

// ParseTitle cuts white space off both ends. Its error is Invalid, and says which rule the rest breaks:
//
//   - It has 1 to 140 code points.
//   - It shows something: not all of it is white space and invisible format characters.
//   - It is one line: no control characters (Unicode's category Cc) and no separators of lines or paragraphs.
//   - It reads as it is written: no characters that turn the direction of what follows, as in CVE-2021-42574.
//   - It is whole: no U+FFFD, which is what decoding leaves of half surrogate pairs and other damaged text.
//
// The table of todos has the same rules.
func ParseTitle(text string) (Title, error) {
	text = strings.TrimSpace(text)
	if strings.TrimFunc(text, invisible) == "" {
		return "", Invalid("the title is empty")
	}
	if n := utf8.RuneCountInString(text); n > longestTitle {
		return "", Invalid(fmt.Sprintf("the title has %d characters; %d are allowed", n, longestTitle))
	}
	for _, r := range text {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return "", Invalid(fmt.Sprintf(
				"the title contains the control character %U; it has to be one line of text", r))
		case '\u202A' <= r && r <= '\u202E', '\u2066' <= r && r <= '\u2069':
			return "", Invalid(fmt.Sprintf("the title contains %U, which changes the direction of text", r))
		case r == utf8.RuneError:
			return "", Invalid("the title contains U+FFFD, which stands for characters that were damaged on their way")
		}
	}
	return Title(text), nil
}

// invisible is white space, and characters that only shape or join their neighbours.
func invisible(r rune) bool {
	switch r {
	case '\u00AD', '\u061C', '\u180E', '\uFEFF':
		return true
	}
	return unicode.IsSpace(r) || '\u200B' <= r && r <= '\u200F' || '\u2060' <= r && r <= '\u206F'
}
