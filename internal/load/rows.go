package load

import "fmt"

// GigabyteRows of RandomRows make a dump of at least 1 GB, compressed by zstd of level 3.
const GigabyteRows = 4_500_000

// RandomRows returns SQL that creates a table called bench, with an identity key and an index. Each row takes
// about 370 bytes, most of them random text. zstd compresses it to about 240.
func RandomRows(rows int) string {
	return fmt.Sprintf(`
		CREATE TABLE bench (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, changed timestamptz NOT NULL,
			title text NOT NULL, body text NOT NULL);
		INSERT INTO bench (changed, title, body)
			SELECT now() + n * interval '1 second', encode(sha384(int8send(n)), 'base64'),
				encode(sha512(int8send(n)) || sha512(int8send(-n)) || sha384(int8send(-n)), 'base64')
			FROM generate_series(1, %d) n;
		CREATE INDEX ON bench (changed);
		ANALYZE bench`, rows)
}
