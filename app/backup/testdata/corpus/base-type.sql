-- A base type with input and output functions of its own.
-- Says: type public.code, which is restored by hand alone | type public.shell, which | function public.code_in(cstring), which
-- By hand: only a superuser could make this | restore the dump by hand | TYPE public.code

CREATE TYPE code;
CREATE FUNCTION code_in(cstring) RETURNS code IMMUTABLE STRICT LANGUAGE internal AS 'int4in';
CREATE FUNCTION code_out(code) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'int4out';
CREATE TYPE code (INPUT = code_in, OUTPUT = code_out, LIKE = int4);
CREATE TYPE shell;
CREATE CAST (int AS code) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE FUNCTION code_text(code) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT chr(35)';
CREATE CAST (code AS text) WITH FUNCTION code_text(code);
CREATE TABLE coded (c code);
INSERT INTO coded VALUES ('42');
