-- Comments on everything, with text that could end a comment.

SET ROLE app;

CREATE TABLE t (id int CONSTRAINT positive CHECK (id > 0), n int GENERATED ALWAYS AS (id) STORED);
CREATE INDEX t_n ON t (n);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE POLICY p ON t;
CREATE RULE r AS ON INSERT TO t DO NOTHING;
CREATE STATISTICS st ON id, n FROM t;
COMMENT ON TABLE t IS E'it''s\na "table"; DROP TABLE t; -- $$ \\ \t';
COMMENT ON COLUMN t.id IS '';
COMMENT ON COLUMN t.n IS '\connect nowhere';
COMMENT ON CONSTRAINT positive ON t IS '🙂';
COMMENT ON INDEX t_n IS 'i';
COMMENT ON FUNCTION f IS '-- Name: t; Type: TABLE; Schema: public; Owner: app';
COMMENT ON TRIGGER tr ON t IS 't';
COMMENT ON POLICY p ON t IS 'p';
COMMENT ON RULE r ON t IS 'r';
COMMENT ON STATISTICS st IS 's';
