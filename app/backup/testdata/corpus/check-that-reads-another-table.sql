-- A constraint whose function reads a table that is filled later.
-- Refused: table "address" | violates check constraint "known" | in the database

SET ROLE app;

CREATE TABLE zone (name text PRIMARY KEY);
CREATE FUNCTION is_zone(wanted text) RETURNS boolean STABLE LANGUAGE plpgsql AS
  'BEGIN RETURN EXISTS (SELECT FROM public.zone WHERE name = wanted); END';
CREATE TABLE address (zone text CONSTRAINT known CHECK (is_zone(zone)));
INSERT INTO zone VALUES ('a');
INSERT INTO address VALUES ('a');
