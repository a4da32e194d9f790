-- A foreign table that reads a file of the server.
-- Says: foreign table public.lines, which is restored by hand alone
-- By hand: only a superuser could make this | restore the dump by hand | FOREIGN TABLE public.lines

CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE lines (line text) SERVER files OPTIONS (filename '/etc/hostname');
