-- A language with C functions of the database.
-- Says: function public.plown_validator(oid), which is restored by hand alone
-- By hand: only a superuser could make this | restore the dump by hand | FUNCTION public.plown_

CREATE FUNCTION plown_handler() RETURNS language_handler LANGUAGE c
  AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION plown_inline(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION plown_validator(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE plown HANDLER plown_handler INLINE plown_inline VALIDATOR plown_validator;
GRANT USAGE ON LANGUAGE plown TO app;
COMMENT ON LANGUAGE plown IS 'own';
CREATE FUNCTION own(n int) RETURNS int LANGUAGE plown AS 'BEGIN RETURN n; END';
