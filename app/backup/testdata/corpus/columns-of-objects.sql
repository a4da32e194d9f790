-- Columns of regclass, regtype and the like.

CREATE SCHEMA other;
CREATE TABLE other.listed (id int);
CREATE FUNCTION other.called(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE listing (t regclass, y regtype, n regnamespace, p regprocedure, c regcollation, d regdictionary);
INSERT INTO listing VALUES ('other.listed', 'other.listed', 'other', 'other.called(int)', '"C"', 'simple');
