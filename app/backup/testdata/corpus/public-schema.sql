-- The schema public with another owner and comment.

CREATE ROLE corpus_owner;
ALTER SCHEMA public OWNER TO corpus_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO app;
COMMENT ON SCHEMA public IS 'not the standard one';
CREATE TABLE public.t (id int);
