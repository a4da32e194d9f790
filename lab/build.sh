#!/bin/sh
# Compiles the lab's own program, and shows its progress: the first time that takes up to a minute.
cd "$(dirname "$0")" || exit
{ go build -v -o ../.lab/lab . 2>&1; echo "exit $?"; } | {
	packages=0
	while IFS= read -r line; do
		case $line in
		"exit "[0-9]*)
			[ ! -t 2 ] || printf '\r\033[K' >&2
			exit "${line#exit }"
			;;
		*[\ :]*) echo "$line" >&2 ;; # no package
		*)
			packages=$((packages + 1))
			if [ -t 2 ]; then
				printf '\r\033[Kcompiling the lab: %d packages' $packages >&2
			elif [ $((packages % 50)) -eq 0 ]; then
				echo "compiling the lab: $packages packages" >&2
			fi
			;;
		esac
	done
}
