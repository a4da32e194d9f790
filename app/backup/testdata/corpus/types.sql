-- Types of all kinds that SQL can make.

SET ROLE app;

CREATE TYPE mood AS ENUM ('bad', 'good');
ALTER TYPE mood ADD VALUE 'fair' BEFORE 'good';
CREATE TYPE pair AS (a int, gone text, b numeric(5, 2));
ALTER TYPE pair DROP ATTRIBUTE gone;
CREATE DOMAIN pairs AS pair[] CHECK (cardinality(VALUE) < 9);
CREATE DOMAIN grade AS int DEFAULT 1 NOT NULL CONSTRAINT range CHECK (VALUE BETWEEN 1 AND 6);
CREATE FUNCTION gap(a float8, b float8) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT a - b';
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = gap, multirange_type_name = spans);
CREATE TABLE typed (m mood, p pair, ps pairs, g grade, s span, ss spans, ms mood[]);
INSERT INTO typed VALUES ('fair', (1, 2.5), ARRAY[(1, 2)]::pair[], 3, '[0.5,1)', '{[1,2),[3,4]}',
  '{good,bad}');
CREATE TABLE of_pair OF pair (PRIMARY KEY (a), b WITH OPTIONS DEFAULT 7);
INSERT INTO of_pair VALUES (1, 2);
CREATE TABLE of_row (t typed);
INSERT INTO of_row SELECT t FROM typed t;
