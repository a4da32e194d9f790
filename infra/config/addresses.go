package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

var (
	hostName = satisfies("a host name", func(value string) bool {
		return isHost(value) && net.ParseIP(value) == nil
	})
	articleURL = satisfies("an https address", isHTTPS)
	s3Endpoint = satisfies("an https address without a path", func(value string) bool {
		u, err := url.Parse(value)
		return err == nil && isHTTPS(value) && strings.TrimSuffix(value, "/") == "https://"+u.Host
	})
	// The host must be spelled out: the docker-build plugin gives images of shortened names no digest.
	registryPath = satisfies("a registry's host, with a path if it needs one", func(value string) bool {
		named, err := reference.ParseNamed(value + "/app")
		return err == nil && validPort(reference.Domain(named))
	})
	origins = satisfies("* or origins with spaces between them", func(value string) bool {
		return value == "*" || listOf(isOrigin)(value)
	})
	ownOrigins = satisfies("origins with spaces between them", listOf(isOrigin))
	cidrs      = satisfies("a list of networks with spaces between them", func(value string) bool {
		return !slices.ContainsFunc(strings.Fields(value), func(cidr string) bool { return !isNetwork(cidr) })
	})
	dnsServers = satisfies("a list of networks and of pods as NAMESPACE/LABEL=VALUE or "+
		"NAMESPACE/LABEL=VALUE:PORT, with spaces between them", listOf(func(server string) bool {
		_, valid := parseDNSServer(server)
		return valid
	}))
)

// isHost accepts addresses, and names that DNS can have.
func isHost(value string) bool {
	tooLong := func(part string) bool { return len(part) > validation.DNS1123LabelMaxLength }
	return net.ParseIP(value) != nil ||
		len(validation.IsDNS1123Subdomain(value)) == 0 && !slices.ContainsFunc(strings.Split(value, "."), tooLong)
}

// validPort accepts hosts without a port too.
func validPort(host string) bool {
	u := url.URL{Host: host}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "443"), 10, 16)
	return err == nil && port > 0
}

func isHTTPS(value string) bool {
	u, err := url.Parse(value)
	return err == nil && u.Scheme == "https" && isHost(u.Hostname()) && validPort(u.Host) && u.User == nil &&
		!strings.Contains(value, " ")
}

// isOrigin accepts origins as browsers send them: without a path, and without the scheme's own port.
func isOrigin(value string) bool {
	u, err := url.Parse(value)
	if err != nil || value != u.Scheme+"://"+u.Host || !isHost(u.Hostname()) || !validPort(u.Host) {
		return false
	}
	return u.Scheme == "http" && u.Port() != "80" || u.Scheme == "https" && u.Port() != "443"
}

func isNetwork(cidr string) bool {
	network, err := netip.ParsePrefix(cidr)
	return err == nil && network == network.Masked() && !network.Addr().Is4In6()
}

// parseDNSServer reads a network, or pods. Keys of labels may have a slash; neither keys nor values have a
// colon.
func parseDNSServer(text string) (server kube.DNSServer, valid bool) {
	server.Port = 53
	if isNetwork(text) {
		server.Network = text
		return server, true
	}
	pods, port, hasPort := strings.Cut(text, ":")
	if hasPort {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return server, false
		}
		server.Port = int(number)
	}
	selected, valid := parsePods(pods)
	server.Namespace, server.Labels = selected.Namespace.Name, selected.Labels
	return server, valid
}

// parsePods reads NAMESPACE/LABEL=VALUE.
func parsePods(text string) (pods kube.Pods, valid bool) {
	namespace, label, _ := strings.Cut(text, "/")
	key, value, valid := parseLabel(label)
	pods = kube.Pods{Namespace: &kube.Namespace{Name: namespace}, Labels: map[string]string{key: value}}
	return pods, valid && len(validation.IsDNS1123Label(namespace)) == 0
}

// parseLabel reads LABEL=VALUE.
func parseLabel(text string) (key, value string, valid bool) {
	key, value, hasValue := strings.Cut(text, "=")
	return key, value, hasValue && len(validation.IsQualifiedName(key)) == 0 &&
		len(validation.IsValidLabelValue(value)) == 0
}
