#!/bin/bash
# Measures the lab on this machine: the first `make up` of a user with empty caches, the disk space that it
# uses, and the memory of a lab without workloads. Arguments are settings, such as STATEFUL_K3S_RELEASES=off.
set -euo pipefail
cd "$(dirname "$0")/.."

home=$(mktemp -d /var/tmp/sk3s-home-XXXXXX)
clone=$home/stateful-k3s
lab=cold
fresh() { env -i HOME="$home" PATH="$PATH" TERM=dumb "$@"; }
clean() {
    fresh make -C "$clone" --no-print-directory lab-delete YES=1 LAB=$lab >/dev/null 2>&1 || true
    chmod -R u+w "$home"
    rm -rf "$home"
}
trap clean EXIT
used() {
    sync
    df --output=used --block-size=1M "$home" /var/lib | tail -n +2 | sort -u |
        awk '{ sum += $1 } END { print sum }'
}
memory() {
    cat "/sys/fs/cgroup/memory/sk3s-$lab/memory.usage_in_bytes" 2>/dev/null ||
        cat "/sys/fs/cgroup/sk3s-$lab/memory.current"
}

git clone --quiet . "$clone"
before=$(used)
start=$SECONDS
fresh "$@" make -C "$clone" --no-print-directory up LAB=$lab
took=$((SECONDS - start))
after=$(used)

fresh make -C "$clone" --no-print-directory lab-delete YES=1 LAB=$lab
fresh "$@" make -C "$clone" --no-print-directory lab-up LAB=$lab
sleep 120 # until nothing starts any more
idle=$(memory)

printf '%-50s %s\n' \
    "cold make up" "$((took / 60)) min $((took % 60)) s" \
    "disk in use after it, against before" "$((after - before)) MB" \
    "memory of the idle lab, page cache included" "$((idle / 1000000)) MB"
du --summarize --human-readable "$home"/{.cache/*,go/pkg/mod} 2>/dev/null
