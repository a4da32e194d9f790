# Starts Redis on an append-only folder, which is the first argument; the others are the server's command.
#
# A file in the folder says which server wrote it, such as redis-8. Before a server of another major version
# begins, the folder is copied to one beside it, of that name: older versions refuse what newer ones write.
# With GO_BACK=true a server begins on the copy that a move from its version has kept.
#
# A snapshot restore.rdb beside the folder takes its place. Redis itself would ignore it.
set -eu
folder=$1
shift

say() { echo "start: $*"; }

refuse() {
	echo "start: $*. Nothing was changed" >&2
	exit 1
}

# base prints the path of the file that the folder begins with, as its manifest says.
base() {
	manifest=$folder/appendonly.aof.manifest
	file=$(sed -n 's/^file \([^ ]*\) seq [0-9]* type b.*/\1/p' "$manifest" 2>/dev/null) || :
	[ -z "$file" ] || echo "$folder/$file"
}

# magic prints what the base file begins with, such as REDIS0012 or VALKEY080.
magic() {
	file=$(base)
	[ -f "$file" ] && head -c 9 "$file" | tr -d '\000'
}

# writer prints which server wrote the folder. Folders of earlier releases don't say it, but the base file
# begins with fields that do. Of a newer server the base file may be older, so this is for those alone.
writer() {
	if [ -s "$folder/version" ]; then
		cat "$folder/version"
	elif [ -f "$(base)" ]; then
		head -c 100 "$(base)" | LC_ALL=C tr -cs 'a-z0-9.-' '\n' |
			sed -nE '/^(redis|valkey)-ver$/{N;s/-ver\n([0-9]+).*/-\1/p;q;}'
	fi
}

# record makes the folder say that this server writes it.
record() {
	echo "$server" >"$folder/version.partial"
	sync "$folder/version.partial"
	mv "$folder/version.partial" "$folder/version"
	sync "$folder"
}

# keep copies the folder. Until the copy has its name and the folder says who writes it, a start begins again.
keep() {
	copy=$folder-$1
	need=$(du -sk "$folder" | cut -f1)
	free=$(df -Pk "$folder" | awk 'NR == 2 {print $4}')
	# Redis needs as much again when it rewrites its file.
	[ "$free" -gt $((2 * need)) ] || refuse "$server keeps a copy of the data of $1 before it begins, and the" \
		"volume lacks room: $folder has $need kB, and $free kB are free, of twice as much; make room, or a larger" \
		"volume (redisStorageSize), or go on with $1"
	if ! cp -R "$folder" "$copy.partial"; then
		rm -rf "$copy.partial"
		refuse "$server keeps a copy of the data of $1 before it begins, and that failed"
	fi
	sync -f "$copy.partial"
	rm -rf "$copy"
	mv "$copy.partial" "$copy"
	sync -f "$copy"
	say "kept a copy of the data of $1 in $copy, and $server begins on it"
}

# put_aside keeps the folder under another name.
put_aside() {
	[ -d "$folder" ] || return 0
	aside=$folder-left-$(date -u +%Y%m%dT%H%M%SZ)
	while [ -e "$aside" ]; do aside=$aside+; done
	mv "$folder" "$aside"
	say "left what was there in $aside"
}

# restore makes a folder of the snapshot. The snapshot goes last: until then, a start begins again.
restore() {
	snapshot=${folder%/*}/restore.rdb
	[ -f "$snapshot" ] || return 0
	if ! redis-check-rdb "$snapshot"; then
		mv "$snapshot" "$snapshot.refused"
		say "$snapshot is damaged, or of a version that this server can't read: it is $snapshot.refused now," \
			"and the data is as it was"
		return
	fi
	new=$folder-restored.partial
	rm -rf "$new"
	mkdir "$new"
	ln "$snapshot" "$new/appendonly.aof.1.base.rdb"
	echo "file appendonly.aof.1.base.rdb seq 1 type b" >"$new/appendonly.aof.manifest"
	[ -z "$server" ] || echo "$server" >"$new/version"
	sync -f "$new"
	put_aside
	mv "$new" "$folder"
	sync -f "$folder"
	rm "$snapshot"
	say "restored $snapshot"
}

# go_back begins on the copy that a move has kept.
go_back() {
	put_aside
	mv "$folder-$server" "$folder"
	sync -f "$folder"
	say "went back to the data that $server had before a move"
}

# check makes the folder one that this server can begin on.
check() {
	rm -rf "$folder"-*.partial
	if [ ! -d "$folder" ]; then
		set -- "$folder"-*
		if [ ! -d "$1" ]; then # a new volume
			mkdir "$folder"
			record
			return
		fi
		if [ "${GO_BACK:-}" != true ] || [ ! -d "$folder-$server" ]; then
			refuse "$folder is not there, but $* is: rename the one with the data to $folder, or to begin without" \
				"any, delete what is there"
		fi
		go_back
	fi
	is=$(writer)
	if [ -d "$folder-$server" ] && [ "$is" != "$server" ]; then
		[ "${GO_BACK:-}" = true ] || refuse "the data is of $is, and $folder-$server has what was there before:" \
			"to go back to that, without what was written since, set redisGoBack to true; to stay, take an image" \
			"of $is"
		go_back
		is=$(writer)
	fi
	if [ -n "$is" ] && [ "$is" != "$server" ]; then
		[ "${is%-*}" != "${server%-*}" ] || [ "${is##*-}" -lt "${server##*-}" ] ||
			refuse "the data is of $is, and $server is older: take an image of $is"
		case $(magic) in
		REDIS* | VALKEY*)
			found=$(redis-check-rdb "$(base)" 2>&1) ||
				refuse "$server can't read the data of $is: take an image of $is;" \
					"$(echo "$found" | grep '^\[offset' | grep -v 'returned error' | tail -n 1)"
			;;
		esac
		keep "$is"
	fi
	[ "$(cat "$folder/version" 2>/dev/null)" = "$server" ] || record
}

server=$("$1" --version | sed -nE 's/^(Redis|Valkey) server v=([0-9]+)\..*/\1-\2/p' | tr RV rv)
restore
[ -z "$server" ] || check

# Valkey has formats of its own from version 9 on, and reads the ones of Redis 8 only if it is told to. It
# still refuses a kind of value that it doesn't know.
case $server,$(magic) in
valkey-*,REDIS001[2-9] | valkey-*,REDIS00[2-7]*) set -- "$@" --rdb-version-check relaxed ;;
esac

# A power cut can leave zeros where a write was under way. Redis starts on a file that breaks off, but not on
# zeros. Nothing that was answered is lost: every write ends in a line feed.
for file in "$folder"/*.incr.aof; do
	[ -f "$file" ] || continue
	before=$(stat -c %s "$file")
	size=$before
	while [ "$size" -gt 0 ]; do
		block=$((size < 65536 ? size : 65536))
		# Zeros become line feeds, which the shell cuts off the end.
		kept=$(tail -c "$block" "$file" | tr '\001-\377' x | tr '\000' '\n')
		[ "${#kept}" -lt "$block" ] || break
		size=$((size - block + ${#kept}))
		truncate -s "$size" "$file"
	done
	[ "$size" = "$before" ] ||
		say "cut $((before - size)) zeros off the end of $file, as a power cut leaves them"
done
exec "$@"
