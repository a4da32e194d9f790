-- An event trigger that refuses tables.

CREATE TABLE kept (id int);
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql
  AS $$ BEGIN RAISE EXCEPTION 'no more tables'; END $$;
CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'CREATE INDEX')
  EXECUTE FUNCTION refuse();
CREATE FUNCTION greet() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'welcome'; END $$;
CREATE EVENT TRIGGER greet ON login EXECUTE FUNCTION greet();
ALTER EVENT TRIGGER greet ENABLE ALWAYS;
