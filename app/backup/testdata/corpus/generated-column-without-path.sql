-- Its function needs the search_path, which is empty in a restore.
-- Refused: table "page" | function plain(text) does not exist | SET search_path

SET ROLE app;

CREATE FUNCTION slug(name text) RETURNS text IMMUTABLE LANGUAGE plpgsql
  AS $$ BEGIN RETURN plain(name); END $$;
CREATE FUNCTION plain(name text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower(name)';
CREATE TABLE page (name text, slug text GENERATED ALWAYS AS (slug(name)) STORED);
INSERT INTO page VALUES ('A Page');
