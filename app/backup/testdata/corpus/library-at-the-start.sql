-- A view with a function that needs a preloaded library.
-- Refused: must be loaded via "shared_preload_libraries" | VIEW public.calls | take what needs the library out

CREATE EXTENSION pg_stat_statements;
CREATE MATERIALIZED VIEW calls AS SELECT count(*) FROM pg_stat_statements;
