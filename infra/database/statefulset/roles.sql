-- Updates the roles and the database. It runs at every start, so each statement can be repeated.
-- setup.sh passes the database's name, the Secret has the verifiers: the server never sees a password.
\i /run/secrets/postgres-setup/verifiers.sql

SELECT format('CREATE ROLE %I', role)
FROM unnest(ARRAY[:'database', 'reader', 'restorer', 'exporter']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec

-- The app's role owns its database, and has no other rights.
ALTER ROLE :"database" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
	PASSWORD :'owner_verifier';

-- Backups read everything, whatever row-level security says.
ALTER ROLE reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS
	PASSWORD :'reader_verifier';
ALTER ROLE reader SET default_transaction_read_only = on;
GRANT pg_read_all_data TO reader;

-- A restore creates databases, and every kind of object in them.
ALTER ROLE restorer LOGIN SUPERUSER PASSWORD :'restorer_verifier';

ALTER ROLE exporter LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
	CONNECTION LIMIT 5 PASSWORD :'exporter_verifier';
GRANT pg_monitor TO exporter;

SELECT format('CREATE DATABASE %1$I OWNER %1$I', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO :"database";
REVOKE ALL ON DATABASE :"database", postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO reader, exporter;
