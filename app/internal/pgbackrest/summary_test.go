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
		path := fmt.Sprintf("wal/archive/%s/17-1/%s/%s-%040x.zst", stanza, name[:16], name, 7)
		return Object{path, 10, at(minute)}
	}
	first, second, third := "0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000"
	fourth := "000000010000000100000001"
	base := func(minute int) Object {
		return Object{fmt.Sprintf("wal/backup/1/20261122-14%02d00F/pg_data/file.zst", minute), 100, at(minute)}
	}
	plugin := func(path string, minute int) Object { return Object{"barman/postgres-1/" + path, 10, at(minute)} }
	log := func(name string, minute int) Object {
		return plugin("wals/"+name[:16]+"/"+name+".gz", minute)
	}
	for name, test := range map[string]struct {
		objects []Object
		want    Summary
	}{
		"nothing": {nil, Summary{}},
		"whole": {[]Object{base(1), segment("1", first, 2), segment("1", third, 4), segment("1", second, 3)},
			Summary{130, "1", at(4), at(1), at(1), false}},
		"gap": {[]Object{base(1), segment("1", first, 2), segment("1", third, 4)},
			Summary{120, "1", at(4), at(1), at(1), true}},
		"gap before a base backup": {[]Object{segment("1", first, 2), segment("1", third, 4), base(5),
			segment("1", fourth, 6)}, Summary{130, "1", at(6), at(5), at(5), false}},
		"gap of an older server": {[]Object{segment("1", first, 2), segment("1", third, 4),
			segment("2", first, 6)}, Summary{Size: 30, Server: "2", Last: at(6)}},
		"new timeline": {[]Object{segment("1", first, 2), segment("1", "0000000200000000000000FF", 3)},
			Summary{Size: 20, Server: "1", Last: at(3)}},
		"the plugin": {[]Object{plugin("base/20261122T140100/data.tar.gz", 2),
			plugin("base/20261122T140100/backup.info", 2), plugin("base/20261122T140300/data.tar.gz", 4),
			log(first, 5), log(second, 6), log("0000000200000000000000FF", 7),
			plugin("wals/0000000200000000/00000002.history.gz", 8)},
			Summary{70, "barman/postgres-1", at(7), at(3), at(2), false}},
		"gap of the plugin": {[]Object{plugin("base/20261122T140100/data.tar.gz", 2), log(first, 3), log(third, 4)},
			Summary{30, "barman/postgres-1", at(4), at(1), at(2), true}},
		"the plugin without a base backup": {[]Object{log(first, 3), plugin("base/20261122T140100/backup.info", 2)},
			Summary{Size: 20, Server: "barman/postgres-1", Last: at(3)}},
		"moved to the plugin": {[]Object{base(1), segment("1", first, 2), log(first, 3)},
			Summary{Size: 120, Server: "barman/postgres-1", Last: at(3)}},
		"other files": {[]Object{{"wal/archive/1/archive.info", 5, at(9)}}, Summary{Size: 5}},
	} {
		require.Equal(t, test.want, Summarize(test.objects), name)
	}
}
