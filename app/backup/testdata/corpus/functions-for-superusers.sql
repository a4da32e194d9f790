-- Functions in trusted languages that only a superuser can make.
-- Says: function public.quiet(), which is restored by hand alone | function public.gather(anynonarray), which
-- By hand: only a superuser could make this | restore the dump by hand | quiet()

CREATE FUNCTION quiet() RETURNS int LANGUAGE sql SET log_statement = 'none' AS 'SELECT 1';
CREATE AGGREGATE gather(anynonarray) (SFUNC = array_agg_transfn, STYPE = internal,
  FINALFUNC = array_agg_finalfn, FINALFUNC_EXTRA);
