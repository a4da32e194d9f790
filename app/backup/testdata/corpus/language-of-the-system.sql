-- A language with another language's functions, which pg_dump takes for an extension.
-- Refused: LANGUAGE plown | extension "plown" is not available | in the database

CREATE TRUSTED LANGUAGE plown HANDLER plpgsql_call_handler
  INLINE plpgsql_inline_handler VALIDATOR plpgsql_validator;
