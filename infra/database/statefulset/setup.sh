#!/bin/sh
# Runs before the server in every new pod. It creates the data directory if there is none, and updates the
# roles.
set -eu

fail() {
	echo "setup: $*" >&2
	exit 1
}

[ "$(id -un)" = postgres ] ||
	fail "user $(id -u) of this image is not postgres: use the official image postgres, not its alpine variant"

# A pod that was deleted by force may still run, and Postgres does not see its processes.
exec 9>"$VOLUME/lock"
flock --timeout 120 9 || fail "another pod still runs on this volume: delete it, or wait until it is gone"

image=$(postgres --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
if [ ! -e "$PGDATA/PG_VERSION" ]; then
	[ -z "$(ls -A "$PGDATA" 2>/dev/null)" ] || fail "$PGDATA holds files, but no database; nothing was changed"
	[ "$image" -ge 17 ] ||
		fail "this image has PostgreSQL $image, and new databases need at least 17:" \
			"set postgresImage to a newer one"
	# Renamed when it is complete: after an interruption the next start begins again.
	rm -rf "$PGDATA.new"
	initdb --pgdata "$PGDATA.new" --username postgres --auth-local peer --auth-host scram-sha-256 \
		--data-checksums --encoding UTF8 --locale-provider builtin --locale C.UTF-8 --set huge_pages=off \
		--no-instructions
	mv --no-target-directory "$PGDATA.new" "$PGDATA"
	sync "$VOLUME"
fi

[ -O "$PGDATA" ] ||
	fail "$PGDATA belongs to user $(stat --format %u "$PGDATA"), and Postgres runs as user $(id -u):" \
		"give it back from a pod that may, with chown --recursive $(id -u):$(id -g) $PGDATA"
# Some storage drivers make volumes writable for their group, and Postgres refuses such data.
chmod g-w,o= "$PGDATA"

data=$(cat "$PGDATA/PG_VERSION")
[ "$data" = "$image" ] ||
	fail "the volume holds data of PostgreSQL $data, and this image has PostgreSQL $image;" \
		"nothing was changed: set postgresImage to PostgreSQL $data again," \
		"or move the data as docs/postgres.md says"

# It is stale, because this pod has the lock, and its process number may belong to another process here.
rm -f "$PGDATA/postmaster.pid"
trap 'pg_ctl stop --mode fast --silent' EXIT
# The server archives later what this adds to its log: set-up does not need the bucket.
pg_ctl start --wait --timeout 86400 --silent \
	--options "-c config_file=$CONFIG/postgresql.conf -c listen_addresses= -c archive_command="
# No setting of the stack may log these statements, which contain verifiers of passwords.
quiet='-c client_min_messages=warning -c log_statement=none -c log_min_duration_statement=-1'
PGOPTIONS="$quiet -c log_min_error_statement=panic" \
	psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set "database=$DATABASE" --dbname postgres \
	--file "$CONFIG/roles.sql"
# An extension that the owner could not create, the owner can use all the same.
for extension in ${EXTENSIONS:-}; do
	PGOPTIONS="$quiet" psql --no-psqlrc --quiet --dbname "$DATABASE" \
		--command "CREATE EXTENSION IF NOT EXISTS \"$extension\" CASCADE" ||
		fail "cannot create the extension $extension: leave it out of extensions," \
			"or take an image of Postgres that has it"
done
