package page

import (
	"html"
	"html/template"
	"regexp"
	"strings"
	"unicode/utf8"
)

// part is a piece of a title.
type part struct {
	Text string
	// Link is the attribute href if the text is an http or https URL. As a mere value, the template would change
	// the URL's percent-encoding.
	Link template.HTMLAttr
}

// The script finds links with the same expression, for todos that appear while the page is open.
var address = regexp.MustCompile(`(?i)\bhttps?://[\p{L}\p{N}\[][^\s\p{Z}\x{FEFF}<>"]*`)

func parts(title string) []part {
	var all []part
	end := 0
	for _, at := range address.FindAllStringIndex(title, -1) {
		link := withoutPunctuation(title[at[0]:at[1]])
		if at[0] > end {
			all = append(all, part{Text: title[end:at[0]]})
		}
		end = at[0] + len(link)
		href := template.HTMLAttr(`href="` + html.EscapeString(link) + `"`) //nolint:gosec // it is escaped
		all = append(all, part{Text: link, Link: href})
	}
	if end < len(title) {
		all = append(all, part{Text: title[end:]})
	}
	return all
}

// withoutPunctuation drops trailing punctuation of the surrounding sentence. A closing bracket stays if the
// link has the opening one, as in https://en.wikipedia.org/wiki/Go_(programming_language).
func withoutPunctuation(link string) string {
	for {
		last, size := utf8.DecodeLastRuneInString(link)
		opened := ""
		switch last {
		case ')':
			opened = "("
		case ']':
			opened = "["
		case '}':
			opened = "{"
		}
		unopened := opened != "" && strings.Count(link, opened) < strings.Count(link, string(last))
		if !unopened && !strings.ContainsRune(".,;:!?'*_~…’”»。，、！？）", last) {
			return link
		}
		link = link[:len(link)-size]
	}
}
