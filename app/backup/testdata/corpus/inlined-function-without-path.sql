-- A function that is inlined when the table is made.
-- Refused: CREATE TABLE public.page | function plain(text) does not exist | SET search_path

SET ROLE app;

CREATE FUNCTION plain(name text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower(name)';
CREATE FUNCTION slug(name text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT plain(name)';
CREATE TABLE page (name text, slug text GENERATED ALWAYS AS (slug(name)) STORED);
