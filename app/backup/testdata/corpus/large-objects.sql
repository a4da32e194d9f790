-- Large objects, which cannot be compared.
-- Refused: large objects | bytea

SELECT lo_from_bytea(4711, 'a large object');
