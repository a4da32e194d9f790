#!/bin/sh
# Runs before the server in every new pod: makes the data directory if there is none, and brings the roles in line.
set -eu

fail() {
	echo "setup: $*" >&2
	exit 1
}

[ "$(id -un)" = postgres ] || fail "user $(id -u) of this image is not postgres: use the official image postgres, not its alpine variant"

# A pod that was deleted by force may still be running, and to Postgres its processes are invisible.
exec 9>"$VOLUME/lock"
flock --timeout 120 9 || fail "another pod still runs on this volume: delete it, or wait until it is gone"

image=$(postgres --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
if [ ! -e "$PGDATA/PG_VERSION" ]; then
	[ -z "$(ls -A "$PGDATA" 2>/dev/null)" ] || fail "$PGDATA holds files, but no database; nothing was changed"
	[ "$image" -ge 17 ] || fail "this image has PostgreSQL $image, and new databases need at least 17: set postgresImage to a newer one"
	# It gets its name when it is complete, so that a start that was interrupted begins anew.
	rm -rf "$PGDATA.new"
	initdb --pgdata "$PGDATA.new" --username postgres --auth-local peer --auth-host scram-sha-256 --data-checksums \
		--encoding UTF8 --locale-provider builtin --locale C.UTF-8 --set huge_pages=off --no-instructions
	mv --no-target-directory "$PGDATA.new" "$PGDATA"
	sync "$VOLUME"
fi

[ -O "$PGDATA" ] || fail "$PGDATA belongs to user $(stat --format %u "$PGDATA"), and Postgres runs as user $(id -u):" \
	"give it back from a pod that may, with chown --recursive $(id -u):$(id -g) $PGDATA"
# Some drivers let the group of a volume write to all that is on it, and Postgres starts on no such data.
chmod g-w,o= "$PGDATA"

data=$(cat "$PGDATA/PG_VERSION")
[ "$data" = "$image" ] || fail "the volume holds data of PostgreSQL $data, and this image has PostgreSQL $image; nothing was changed:" \
	"set postgresImage to PostgreSQL $data again, or move the data as docs/postgres.md says"

# It is stale, for this pod has the lock; its process number may be another process's in here.
rm -f "$PGDATA/postmaster.pid"
trap 'pg_ctl stop --mode fast --silent' EXIT
# What it adds to the log is archived later, when the store can be reached or not.
pg_ctl start --wait --timeout 86400 --silent --options "-c config_file=$CONFIG/postgresql.conf -c listen_addresses= -c archive_command="
# Whatever the stack has the server log, it is not this.
PGOPTIONS='-c client_min_messages=warning -c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic' \
	psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set "database=$DATABASE" --dbname postgres --file "$CONFIG/roles.sql"
