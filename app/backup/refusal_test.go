package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
)

// A retry cures none of these.
func TestWhatIsWrongIsSaidAtOnce(t *testing.T) {
	s := start(t)
	older := s.replacePgDump("echo 'pg_dump (PostgreSQL) 16.4'")
	url := s.db.As("reader").URL()
	for _, c := range []struct {
		command, setting string
		reasons          []string
	}{
		{"run", "URL=", []string{"read the settings",
			"neither URL nor URL_FILE is set; for example: URL=postgres://"}},
		{"run", "URL=nonsense", []string{"take a snapshot of the database"}},
		{"run", "URL=host=localhost dbname=app",
			[]string{"take a snapshot of the database", "no URL such as postgres://user:password@host/database"}},
		{"run", "URL=" + s.db.As("nobody").URL(),
			[]string{"take a snapshot of the database", "authentication failed"}},
		{"run", "URL=" + s.db.As("reader").In("nowhere").URL(),
			[]string{"take a snapshot of the database", "nowhere"}},
		{"run", "PATH=" + older, []string{
			"pg_dump of Postgres 16 cannot dump a server of " + imagetest.Major() + ".",
			"take an image of Postgres " + imagetest.Major()}},
		{"run", "PATH=/nowhere", []string{"find pg_dump"}},
		{"run", "S3_ENDPOINT=",
			[]string{"S3_ENDPOINT: is not set; for example: S3_ENDPOINT=https://s3.example.com"}},
		{"list", "S3_ENDPOINT=ftp://a",
			[]string{`S3_ENDPOINT: "ftp://a" is not the address of an S3 service, such as https://s3.example.com`}},
		{"prune", "S3_PREFIX=", []string{"S3_PREFIX: is not set; for example: S3_PREFIX=project"}},
		{"verify", "S3_ACCESS_KEY_FILE=/nowhere",
			[]string{"S3_ACCESS_KEY_FILE: open /nowhere: no such file or directory"}},
		{"metrics", "S3_PATH_STYLE=maybe", []string{`S3_PATH_STYLE: "maybe" is neither true nor false`}},
		{"run", "S3_CA_FILE=/etc/passwd", []string{"S3_CA_FILE: /etc/passwd holds no certificate in PEM format"}},
		{"run", "COMPRESSION_LEVEL=20", []string{`COMPRESSION_LEVEL: "20" is not a number from 1 to 19`}},
		{"prune", "KEEP_DAILY=-1", []string{`KEEP_DAILY: "-1" is not a number from 0 to 10000`}},
		{"run", "TIMEOUT=soon", []string{`TIMEOUT: "soon" is not a time such as 1h`}},
		{"run", "RETRY=-1s", []string{`RETRY: "-1s" is not a time such as 10m`}},
		{"run", "AGE_RECIPIENT=age1x", []string{"AGE_RECIPIENT: ", "age-keygen"}},
		{"verify", "AGE_IDENTITY_FILE=/etc/passwd", []string{"AGE_IDENTITY_FILE: ", "age-keygen"}},
		{"run", "S3_BUCKET=nowhere", []string{"store the dump"}},
		{"run", "S3_SECRET_KEY_FILE=" + s.tree.File("wrong", "wrong"), []string{"store the dump"}},
		{"verify", "S3_SECRET_KEY_FILE=" + s.tree.File("wrong", "wrong"), []string{"list the backups"}},
		{"verify", "", []string{"not verified: there is no backup yet: backup run makes one"}},
		{"verify latest", "", []string{`"latest" is not the name of a backup; for example: `}},
		{"verify 20261122T020000Z-1a2b3c", "", []string{"20261122T020000Z-1a2b3c: there is no such backup"}},
		{"verify --all 20261122T020000Z-1a2b3c", "", []string{"verify takes either a name or --all"}},
		{"run now", "", []string{"unknown command"}},
	} {
		p := s.begin(c.command, "RETRY=1m", c.setting)
		s.hasFailed(p, c.reasons...)
		assert.NotContains(t, p.Logged(), "trying again", c.reasons)
		s.isClean()
	}
	assert.Empty(t, s.backups())

	s.db.As("postgres").Exec(`REVOKE pg_read_all_data FROM reader`)
	s.fail("run", []string{"take a snapshot of the database", "permission denied"}, "URL="+url, "RETRY=1m")
	s.db.As("postgres").Exec(`GRANT pg_read_all_data TO reader; ALTER ROLE reader NOBYPASSRLS`)
	s.fail("run", []string{"row-level security"}, "URL="+url)
	s.db.As("postgres").Exec(`ALTER ROLE reader BYPASSRLS; SELECT lo_create(0)`)
	s.fail("run", []string{"the database has large objects", "keep such data in columns of type bytea"},
		"RETRY=1m")
	assert.Empty(t, s.backups())
}

func TestAnAddressInAFile(t *testing.T) {
	s := start(t)
	s.succeed("run", "URL=", "URL_FILE="+s.tree.File("url", s.db.As("reader").TLSURL()+"\n"))
	assert.Len(t, s.backups(), 1)
}

// Everybody on the machine can read the arguments of processes.
func TestThePasswordIsNoArgument(t *testing.T) {
	s := start(t)
	args := s.tree.File("args", "")
	dir := s.replacePgDump("echo \"$@\" >>" + args + "\nexec " + imagetest.Programs() + "/pg_dump \"$@\"")
	s.succeed("run", "PATH="+dir+":/bin:"+imagetest.Programs())
	seen, err := os.ReadFile(s.tree.Path(args))
	require.NoError(t, err)
	assert.Contains(t, string(seen), "--snapshot=")
	assert.NotContains(t, string(seen), "correct-horse")
}
