package page

import (
	"html/template"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParts(t *testing.T) {
	link := func(text string) part {
		return part{Text: text,
			Link: template.HTMLAttr(`href="` + text + `"`)}
	} // of addresses that HTML does not escape
	for title, want := range map[string][]part{
		"":         nil,
		"Buy milk": {{Text: "Buy milk"}},
		"http://a": {link("http://a")},
		"See http://a, HTTPS://B.": {{Text: "See "}, link("http://a"), {Text: ", "}, link("HTTPS://B"),
			{Text: "."}},
		"(http://a/(b))":   {{Text: "("}, link("http://a/(b)"), {Text: ")"}},
		"[http://[::1]/]":  {{Text: "["}, link("http://[::1]/"), {Text: "]"}},
		"“https://a”…":     {{Text: "“"}, link("https://a"), {Text: "”…"}},
		"https://例え.jp/ä。": {link("https://例え.jp/ä"), {Text: "。"}},
		"http://a\u00a0b http://c\u2003": {link("http://a"), {Text: "\u00a0b "}, link("http://c"),
			{Text: "\u2003"}},
		"http:// https://. xhttp://a javascript:b ftp://c": {
			{Text: "http:// https://. xhttp://a javascript:b ftp://c"},
		},
		`http://a"b http://c<d>`: {link("http://a"), {Text: `"b `}, link("http://c"),
			{Text: "<d>"}},
		"http://a/?b=1&c='2'": {
			{Text: "http://a/?b=1&c='2", Link: `href="http://a/?b=1&amp;c=&#39;2"`}, {Text: "'"},
		},
	} {
		t.Run(title, func(t *testing.T) { assert.Equal(t, want, parts(title)) })
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 10_000: "10,000", 10_001: "10,000+"} {
		assert.Equal(t, want, count(n))
	}
}
