-- A column of type regclass holds an index, which a restore makes after the rows.
-- Refused: table "watched" | watched_pkey | in the database

SET ROLE app;

CREATE TABLE watched (id int PRIMARY KEY, index regclass);
INSERT INTO watched VALUES (1, 'watched_pkey');
