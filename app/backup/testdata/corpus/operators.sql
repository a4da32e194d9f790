-- Operators with their classes and families.

SET ROLE app;

CREATE FUNCTION near(int, int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT abs($1 - $2) < 2';
CREATE OPERATOR ~~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = near, COMMUTATOR = ~~~);
RESET ROLE;
CREATE FUNCTION backwards(int, int) RETURNS int IMMUTABLE LANGUAGE sql
  AS 'SELECT CASE WHEN $1 < $2 THEN 1 WHEN $1 > $2 THEN -1 ELSE 0 END';
CREATE OPERATOR FAMILY reversed USING btree;
CREATE OPERATOR CLASS backward FOR TYPE int USING btree FAMILY reversed AS
  OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 backwards(int, int);
ALTER OPERATOR FAMILY reversed USING btree ADD OPERATOR 1 > (int, bigint);
CREATE TABLE n (n int);
CREATE INDEX n_backward ON n (n backward);
INSERT INTO n SELECT generate_series(1, 100);
