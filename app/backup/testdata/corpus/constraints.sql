-- Constraints of all kinds, with their options.

SET ROLE app;

CREATE TABLE room (
  id int CONSTRAINT room_key PRIMARY KEY WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED,
  code text, floor int, span int4range, spot point,
  UNIQUE NULLS NOT DISTINCT (code, floor), UNIQUE (floor, id) INCLUDE (code),
  EXCLUDE USING gist (span WITH &&) WHERE (floor > 0),
  CONSTRAINT alone CHECK (floor < 100) NO INHERIT
);
CREATE TABLE booking (code text, floor int, FOREIGN KEY (code, floor) REFERENCES room (code, floor) MATCH FULL
  ON DELETE SET DEFAULT);
INSERT INTO room VALUES (1, NULL, 1, '[1,5)', '(1,2)'), (2, 'b', 2, '[5,6)', NULL);
INSERT INTO booking VALUES ('b', 2), (NULL, NULL);
