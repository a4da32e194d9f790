package pgbackrest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSummary(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 22, 14, minute, 0, 0, time.UTC) }
	segment := func(stanza, name string, minute int) Object {
		return Object{fmt.Sprintf("archive/%s/17-1/%s/%s-%040x.zst", stanza, name[:16], name, 7), 10, at(minute)}
	}
	first, second, third := "0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000"
	fourth := "000000010000000100000001"
	base := func(minute int) Object {
		return Object{fmt.Sprintf("backup/1/20261122-14%02d00F/pg_data/file.zst", minute), 100, at(minute)}
	}
	for name, test := range map[string]struct {
		objects []Object
		want    Summary
	}{
		"nothing": {nil, Summary{}},
		"whole": {[]Object{base(1), segment("1", first, 2), segment("1", third, 4), segment("1", second, 3)},
			Summary{130, at(4), at(1), false}},
		"gap": {[]Object{base(1), segment("1", first, 2), segment("1", third, 4)},
			Summary{120, at(4), at(1), true}},
		"gap before a base backup": {[]Object{segment("1", first, 2), segment("1", third, 4), base(5),
			segment("1", fourth, 6)}, Summary{130, at(6), at(5), false}},
		"gap of an older server": {[]Object{segment("1", first, 2), segment("1", third, 4),
			segment("2", first, 6)}, Summary{30, at(6), time.Time{}, false}},
		"new timeline": {[]Object{segment("1", first, 2), segment("1", "0000000200000000000000FF", 3)},
			Summary{20, at(3), time.Time{}, false}},
		"other files": {[]Object{{"archive/1/archive.info", 5, at(9)}}, Summary{Size: 5}},
	} {
		require.Equal(t, test.want, Summarize(test.objects), name)
	}
}
