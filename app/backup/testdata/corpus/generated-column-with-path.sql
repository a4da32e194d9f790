-- The same with a search_path of its own.

SET ROLE app;

CREATE FUNCTION plain(name text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower(name)';
CREATE FUNCTION slug(name text) RETURNS text IMMUTABLE LANGUAGE plpgsql SET search_path = public
  AS $$ BEGIN RETURN plain(name); END $$;
CREATE TABLE page (name text, slug text GENERATED ALWAYS AS (slug(name)) STORED);
INSERT INTO page VALUES ('A Page');
