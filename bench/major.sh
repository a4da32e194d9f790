# Moves a database of 1 GB to a new major version by hand. Two containers, one
# of each version, share /shared and an address. Each function prints the seconds that it took.
set -euo pipefail
exec 3>&1 >&2
options=(--username=postgres --auth=trust --data-checksums --encoding=UTF8 --locale-provider=builtin
    --locale=C.UTF-8 --no-instructions)
export PGUSER=postgres PGHOST=/shared

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
since() { awk -v start="$1" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.1f\n", end - start }' >&3; }
start() { # data port [programs]
    as_postgres env LD_LIBRARY_PATH="${3:+$libraries}" "${3:+$3/}pg_ctl" start --wait --silent --pgdata="$1" \
        --log="$1.log" --options="-c listen_addresses= -c unix_socket_directories=/shared -c port=$2" \
        </dev/null 3>&-
}

# prepare makes the old server, with the database, and copies its programs to where pg_upgrade finds them.
prepare() {
    chmod 1777 /shared
    as_postgres initdb --pgdata=/shared/old "${options[@]}"
    start /shared/old 5417
    psql --port=5417 --quiet --command="$BALLAST"
    mkdir /shared/root
    cp -a --parents /usr/lib/postgresql /usr/share/postgresql /usr/lib/*-linux-gnu /shared/root
    echo 0 >&3
}

# save and load are the two halves of dump and restore. The old version dumps: the new pg_dump can write what
# no newer server takes.
save() {
    local begin=$EPOCHREALTIME
    pg_dump --port=5417 --format=directory --jobs=2 --compress=zstd:1 --file=/shared/dump postgres
    since "$begin"
    as_postgres pg_ctl stop --silent --pgdata=/shared/old
}

load() {
    as_postgres initdb --pgdata=/shared/new "${options[@]}"
    local begin=$EPOCHREALTIME
    start /shared/new 5418
    pg_restore --port=5418 --jobs=2 --dbname=postgres /shared/dump
    vacuumdb --port=5418 --analyze-only --jobs=2 postgres
    since "$begin"
    as_postgres pg_ctl stop --silent --pgdata=/shared/new
}

# upgrade works on a copy of the old server's files: a linked old server never starts again.
upgrade() {
    cp -a /shared/old /shared/copy
    as_postgres initdb --pgdata=/shared/linked "${options[@]}"
    local programs=(/shared/root/usr/lib/postgresql/*/bin) libraries=/shared/libraries library
    mkdir $libraries
    for library in $(ldd "${programs[0]}/postgres" | awk '/not found/ { print $1 }') libicudata.so; do
        cp -a /shared/root/usr/lib/*-linux-gnu/"${library%%.so*}".so* $libraries
    done
    start /shared/copy 5417 "${programs[0]}" # until here the old server is at work
    # Debian's 17.12 notes an option at each column that pg_dump of 18 writes and no server of 18 takes.
    psql --port=5417 --quiet --command="UPDATE pg_attribute SET attoptions = NULL WHERE attoptions IS NOT NULL"
    local begin=$EPOCHREALTIME
    as_postgres pg_ctl stop --silent --pgdata=/shared/copy
    cd /shared
    as_postgres env LD_LIBRARY_PATH=$libraries pg_upgrade --link --jobs=2 --old-bindir="${programs[0]}" \
        --old-datadir=/shared/copy --new-datadir=/shared/linked --socketdir=/shared
    start /shared/linked 5418
    vacuumdb --port=5418 --analyze-only --missing-stats-only --jobs=2 postgres
    since "$begin"
    as_postgres pg_ctl stop --silent --pgdata=/shared/linked
}
