package docs

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCompareTakesWhatVaries(t *testing.T) {
	for name, test := range map[string]struct{ shown, printed string }{
		"the same":   {"a\nb\n", "a\nb\n"},
		"times":      {"time=2026-11-22T10:53:56.123Z x", "time=2027-01-02T03:04:05Z x"},
		"durations":  {"AGE 12m in=1.013s", "AGE 3h4m in=87ms"},
		"pods":       {"pod/pingpong-7d9c5d5f5b-6xkzp", "pod/pingpong-66f9b4c8d7-w2lqv"},
		"pods' jobs": {"backup-wj9r5 done", "backup-bcdf4 done"},
		"backups":    {"backup 20261122T200417Z-0bcc30", "backup 20271122T200417Z-ffffff"},
		"digests":    {"sha256=28095471b05d…", "sha256=" + "0123456789abcdef0123456789abcdef"},
		"addresses":  {"http://10.231.188.10/ 10.42.0.7", "http://10.231.5.10/ 10.42.0.19"},
		"sizes":      {"6.9 kB", "12 MB"},
		"counters":   {`pong 4 {"pings":5} 18 rows`, `pong 17 {"pings":18} 2 rows`},
		"columns":    {"NAME   AGE\n-----+----", "NAME AGE\n--+------------"},
		"no lines":   {"…\nend", "end"},
		"some lines": {"begin\n…\nend\n", "begin\n1\n\n2\nend\n"},
		"a part":     {`{"id":1,"title":"x",…}`, `{"id":2,"title":"x","completed":false}`},
	} {
		t.Run(name, func(t *testing.T) { assert.NoError(t, Compare(test.shown, test.printed)) })
	}
}

func TestCompareFindsDifferences(t *testing.T) {
	for name, test := range map[string]struct{ shown, printed, says string }{
		"another line":   {"a\nb\nc", "a\nx\nc", `expected "b", as line 2`},
		"a line less":    {"a\nb", "a", `expected "b"`},
		"a line more":    {"a", "a\nb", "expected no more lines"},
		"no such line":   {"…\nend\n…", "begin\n", `expected "end"`},
		"another number": {"1 of 2 pods", "2 of 2 pods", "expected"},
		"part of a line": {"a", "ab", `expected "a"`},
	} {
		t.Run(name, func(t *testing.T) { assert.ErrorContains(t, Compare(test.shown, test.printed), test.says) })
	}
}
