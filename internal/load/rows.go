package load

import "fmt"

// GigabyteRows is how many RandomRows make a dump of at least 1 GB, compressed by zstd of level 3.
const GigabyteRows = 4_500_000

// RandomRows is SQL that makes a table called bench, with an identity key, an index and so many rows. Each
// row takes about 370 bytes, most of them random text, of which zstd leaves about 240.
func RandomRows(rows int) string {
	return fmt.Sprintf(`
		CREATE TABLE bench (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, changed timestamptz NOT NULL, title text NOT NULL, body text NOT NULL);
		INSERT INTO bench (changed, title, body)
			SELECT now() + n * interval '1 second', encode(sha384(int8send(n)), 'base64'),
				encode(sha512(int8send(n)) || sha512(int8send(-n)) || sha384(int8send(-n)), 'base64')
			FROM generate_series(1, %d) n;
		CREATE INDEX ON bench (changed);
		ANALYZE bench`, rows)
}
