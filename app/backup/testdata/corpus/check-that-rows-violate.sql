-- A function that a constraint calls was changed after the row was written.
-- Refused: table "number" | violates check constraint "fine" | in the database

SET ROLE app;

CREATE FUNCTION is_fine(n int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n > 0; END';
CREATE TABLE number (n int CONSTRAINT fine CHECK (is_fine(n)));
INSERT INTO number VALUES (1);
CREATE OR REPLACE FUNCTION is_fine(n int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql
  AS 'BEGIN RETURN n > 1; END';
