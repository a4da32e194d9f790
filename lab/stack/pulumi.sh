#!/bin/sh
# Pulumi notes the stack's encryption salt in its settings file. This gives it a
# copy of the file, so that the checkout stays clean.
checked_in="{{.Checkout}}/Pulumi.$PULUMI_STACK.yaml" copy="{{.State}}/Pulumi.$PULUMI_STACK.yaml"
settings_with_salt() {
	[ ! -e "$checked_in" ] || cat "$checked_in" || return
	grep -q '^encryptionsalt:' "$checked_in" 2>/dev/null && return
	echo # the last line may not end
	sed -n '/^encryptionsalt:/p' "$copy" 2>/dev/null || true # there is none before the first update
}
case "$1" in
up|update|preview|refresh|destroy|import|watch)
	# Another project, as in examples/, has settings of its own. A copy of the checkout is the same project.
	if [ ! -e Pulumi.yaml ] || [ "$(grep '^name:' Pulumi.yaml)" = "$(grep '^name:' "{{.Checkout}}/Pulumi.yaml")" ]; then
		new="$copy.new$$" # another pulumi may start at the same time
		settings_with_salt >"$new" && mv "$new" "$copy" || {
			rm -f "$new"
			echo "pulumi was not started, as it would lack settings: $checked_in could not be copied to $copy" >&2
			exit 1
		}
		set -- "$@" --config-file "$copy"
	fi
	;;
config)
	# Here the salt belongs to secret settings, and goes with the last one.
	"{{.Pulumi}}" "$@"
	status=$?
	if grep -q '^encryptionsalt:' "$checked_in" 2>/dev/null && ! grep -q ' secure:' "$checked_in"; then
		sed -i '/^encryptionsalt:/d' "$checked_in"
	fi
	exit $status
esac
# Go links the program beside its place and renames it, so that a killed pulumi leaves no partial program.
export GOTMPDIR="{{.Temporary}}"
# The lab's own passphrase seals the state, whatever the shell has.
unset PULUMI_CONFIG_PASSPHRASE
export PULUMI_CONFIG_PASSPHRASE_FILE="{{.Passphrase}}"
# The lab's registry has a certificate of its own, and needs a login.
if [ -r "{{.Login}}" ]; then
	export SSL_CERT_DIR="{{.Trusted}}:${SSL_CERT_DIR:-/etc/ssl/certs:/etc/pki/tls/certs}"
	export DOCKER_AUTH_CONFIG="$(cat "{{.Login}}")" # where Docker has a configuration
	export REGISTRY_AUTH_FILE="{{.Login}}"          # where it has none
	# Builds use the proxies of Docker's configuration, or else the shell's.
	http=${HTTP_PROXY:-${http_proxy:-}} https=${HTTPS_PROXY:-${https_proxy:-}}
	if [ -n "$http$https" ] && [ ! -e "${DOCKER_CONFIG:-$HOME/.docker}/config.json" ]; then
		export DOCKER_CONFIG="{{.Docker}}"
		mkdir -p "$DOCKER_CONFIG"
		printf '{"proxies": {"default": {"httpProxy": "%s", "httpsProxy": "%s", "noProxy": "%s"}}}' \
			"$http" "$https" "$NO_PROXY" >"$DOCKER_CONFIG/config.json.new$$"
		mv "$DOCKER_CONFIG/config.json.new$$" "$DOCKER_CONFIG/config.json"
	fi
fi
# With make's flags, pulumi and make share compiled packages.
case "$GOFLAGS" in
*-gcflags*) ;;
*) export GOFLAGS="$(go env GOFLAGS) {{.ProgramFlags}}"
esac
exec "{{.Pulumi}}" "$@"
