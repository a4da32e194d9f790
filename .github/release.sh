#!/bin/sh
# Makes a release's archives, one for each platform, and its notes: release.sh VERSION IMAGES FOLDER. An archive
# is a Pulumi project whose program is compiled, and whose images are IMAGES/NAME:VERSION.
set -eu
version=$1 images=$2 out=$3
[ ! -e "$out" ] || { echo "$out is there already: name a new folder" >&2; exit 1; }
mkdir -p "$out"

# The section of this version in the changelog.
awk -v version="$version" '/^## / { inside = $2 == version; next } inside' CHANGELOG.md >"$out/notes.md"
grep -q . "$out/notes.md" || {
	echo "CHANGELOG.md has no section '## $version': give \"Unreleased\" that name, and tag again" >&2
	exit 1
}

for platform in ${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}; do
	name=stateful-k3s_${version}_${platform%/*}_${platform#*/}
	project=$out/$name
	mkdir -p "$project/bin"
	cp -R .github/release "$project/infra" # Pulumi starts the program in infra
	# What images are built from: those with another Postgres are.
	git archive HEAD .dockerignore Dockerfile go.mod go.sum app internal/restorepoint | tar --extract --directory "$project"
	CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} \
		go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$project/bin/infra" ./infra
	sed -e 's|^    buildTarget: \([^ ]*\).*|    binary: \1|' \
		-e "/^  images:/,/^    default:/ s|^    default:.*|    default: $images@$version|" Pulumi.yaml >"$project/Pulumi.yaml"
	cp CHANGELOG.md LICENSE "$project"
	tar --create --gzip --file "$out/$name.tar.gz" --directory "$out" "$name"
	rm -r "$project"
done
(cd "$out" && sha256sum ./*.tar.gz >sha256sums.txt)
