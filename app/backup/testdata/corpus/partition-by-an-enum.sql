-- Partitions by the hash of an enum, whose values have other OIDs after a restore.
-- Moved

SET ROLE app;

CREATE TYPE colour AS ENUM ('red', 'blue');
CREATE TABLE shade (colour colour, n int) PARTITION BY HASH (colour);
CREATE TABLE shade_0 PARTITION OF shade FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shade_1 PARTITION OF shade FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO shade SELECT (ARRAY['red', 'blue'])[1 + n % 2]::colour, n FROM generate_series(1, 20) n;
