# Cuts zeros off the end of the append-only files in a folder, and runs a command. A power cut can leave zeros
# where a write was under way. Redis starts on a file that breaks off, but not on zeros. Nothing that was
# answered is lost: every write ends in a line feed.
set -eu
folder=$1
shift

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
		echo "start: cut $((before - size)) zeros off the end of $file, as a power cut leaves them"
done
exec "$@"
