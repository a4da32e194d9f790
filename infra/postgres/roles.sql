-- Brings the roles and the database in line with the stack. It runs at every start, so each statement can be repeated.
-- setup.sh sets the names, the Secret the verifiers, which are all that the server knows of the passwords.
\i /run/secrets/postgres-setup/verifiers.sql

SELECT format('CREATE ROLE %I', role)
FROM unnest(ARRAY[:'database', 'reader', 'restorer', 'exporter']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec

-- The app's role owns its database, and is nothing else.
ALTER ROLE :"database" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'owner_verifier';

-- Backups read all of it, past any row-level security.
ALTER ROLE reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS PASSWORD :'reader_verifier';
ALTER ROLE reader SET default_transaction_read_only = on;
GRANT pg_read_all_data TO reader;

-- Who restores makes databases, and all that can be in one.
ALTER ROLE restorer LOGIN SUPERUSER PASSWORD :'restorer_verifier';

ALTER ROLE exporter LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 5 PASSWORD :'exporter_verifier';
GRANT pg_monitor TO exporter;

SELECT format('CREATE DATABASE %1$I OWNER %1$I', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO :"database";
REVOKE ALL ON DATABASE :"database", postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO reader, exporter;
