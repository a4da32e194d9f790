package config

import (
	"cmp"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones where the machine has none

	"filippo.io/age"
	"github.com/distribution/reference"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/robfig/cron/v3"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// check returns what the value should be and is not, or "".
type check func(value string) string

func optional(c check) check {
	return func(value string) string {
		if value == "" {
			return ""
		}
		return c(value)
	}
}

func matches(pattern, what string) check {
	compiled := regexp.MustCompile(pattern)
	return func(value string) string {
		if compiled.MatchString(value) {
			return ""
		}
		return what
	}
}

var (
	notEmpty   = matches(`\S`, "a value")
	namePrefix = matches(`^[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?-$`,
		"a prefix of at most 32 small letters, digits and hyphens with a hyphen at its end")
	builderName  = matches(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`, "the name of a buildx builder")
	count        = matches(`^[0-9]{1,3}$`, "a number from 0 to 999")
	compression  = matches(`^([1-9]|1[0-9])$`, "a number from 1 to 19")
	boolean      = matches(`^(true|false)$`, "true or false")
	region       = matches(`^[a-zA-Z0-9][a-zA-Z0-9-]*$`, "a region")
	days         = matches(`^[1-9][0-9]{0,2}$`, "a number from 1 to 999")
	replicas     = matches(`^([1-9]|1[0-9]|20)$`, "a number from 1 to 20")
	output       = matches(`^[^/\s]+(/[^/\s]+){3}$`, "organization/project/stack/output")
	bucketPrefix = matches(`^[a-zA-Z0-9_-]{1,64}(/[a-zA-Z0-9_-]{1,64}){0,3}$`,
		"a folder of letters, digits, hyphens and underscores, or up to four with slashes between them")
	// A backup that takes no more than a day has ended when the next one begins.
	withinADay   = duration(time.Minute, 24*time.Hour, "a time from 1m to 24h, in whole seconds")
	withinAnHour = duration(time.Second, time.Hour, "a time from 1s to 1h, in whole seconds")
	// A colon ends the name in the header that sends it.
	username = matches(`^[^:]*[^:\s][^:]*$`, "a user's name, without a colon")
	// Short enough for Redis and free of what shells and command lines take apart.
	password = matches(`^[!-~]{8,128}$`, "8 to 128 printable ASCII characters without spaces")
)

func objectName(what string) check {
	return func(value string) string {
		if len(validation.IsDNS1123Subdomain(value)) > 0 {
			return what
		}
		return ""
	}
}

func label(what string) check {
	return func(value string) string {
		if len(validation.IsDNS1123Label(value)) > 0 {
			return what
		}
		return ""
	}
}

// image wants a version, since another pull of latest may start another one on the same volume.
func image(value string) string {
	named, err := reference.ParseNormalizedNamed(value)
	if err != nil || !validPort(reference.Domain(named)) {
		return "an image"
	}
	if tagged, ok := reference.TagNameOnly(named).(reference.Tagged); ok && tagged.Tag() == "latest" {
		return "an image with its version"
	}
	return ""
}

// postgresImage can tell the version only from a tag that is one.
func postgresImage(value string) string {
	if what := image(value); what != "" {
		return what
	}
	named, _ := reference.ParseNormalizedNamed(value)
	if tagged, ok := named.(reference.Tagged); ok {
		major, err := strconv.Atoi(regexp.MustCompile(`^\d*`).FindString(tagged.Tag()))
		if err == nil && major < 17 || strings.Contains(tagged.Tag(), "alpine") {
			return "an image of PostgreSQL 17 or newer on Debian"
		}
	}
	return ""
}

// validPort is whether a host's port, if it has one, is one.
func validPort(host string) bool {
	u := url.URL{Host: host}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "443"), 10, 16)
	return err == nil && port > 0
}

// registryPath wants the host spelled out: the docker-build plugin gives images of shortened names no digest.
func registryPath(value string) string {
	named, err := reference.ParseNamed(value + "/app")
	if err != nil || !validPort(reference.Domain(named)) {
		return "a registry's host, with a path if it needs one"
	}
	return ""
}

func quantity(least, most string) check {
	minimum, maximum := resource.MustParse(least), resource.MustParse(most)
	return func(value string) string {
		q, err := resource.ParseQuantity(value)
		switch {
		case err != nil:
			return "a Kubernetes quantity"
		case q.Cmp(minimum) < 0:
			return "at least " + least
		case q.Cmp(maximum) > 0:
			return "at most " + most
		case q.Cmp(*resource.NewQuantity(q.Value(), q.Format)) != 0:
			return "a whole number of bytes"
		}
		return ""
	}
}

const (
	mostMemory  = "16Ti"
	mostStorage = "1Pi"
)

func memory(least string) check { return quantity(least, mostMemory) }

func size(least string) check { return quantity(least, mostStorage) }

func origins(value string) string {
	if value == "*" || areOrigins(value) {
		return ""
	}
	return "* or origins with spaces between them"
}

func ownOrigins(value string) string {
	if areOrigins(value) {
		return ""
	}
	return "origins with spaces between them"
}

func areOrigins(value string) bool {
	all := strings.Fields(value)
	return len(all) > 0 && !slices.ContainsFunc(all, func(origin string) bool { return !isOrigin(origin) })
}

// isOrigin takes what browsers send: without a path, and without the port that goes with the scheme.
func isOrigin(value string) bool {
	u, err := url.Parse(value)
	if err != nil || value != u.Scheme+"://"+u.Host || !isHost(u.Hostname()) || !validPort(u.Host) {
		return false
	}
	return u.Scheme == "http" && u.Port() != "80" || u.Scheme == "https" && u.Port() != "443"
}

// schedule takes what Kubernetes takes, which parses it with the same library and has a field of its own for
// the time zone. It takes no @every, whose times shift whenever the cluster's controller restarts.
func schedule(value string) string {
	times, err := cron.ParseStandard(value)
	if err != nil || strings.Contains(value, "TZ=") || strings.HasPrefix(value, "@every") ||
		value != strings.TrimSpace(value) {
		return "a cron schedule of five fields"
	}
	if times.Next(time.Now()).IsZero() {
		return "a cron schedule of a day that there is"
	}
	return ""
}

func timeZone(value string) string {
	if _, err := time.LoadLocation(value); err != nil || value == "" || value == "Local" {
		return "a time zone"
	}
	return ""
}

func articleURL(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" || !isHost(u.Hostname()) || !validPort(u.Host) || u.User != nil ||
		strings.Contains(value, " ") {
		return "an https address"
	}
	return ""
}

func recipient(value string) string {
	if _, err := age.ParseX25519Recipient(value); err != nil {
		return "a public key of age"
	}
	return ""
}

func duration(least, most time.Duration, what string) check {
	return func(value string) string {
		if d, err := time.ParseDuration(value); err != nil || d < least || d > most || d%time.Second != 0 {
			return what
		}
		return ""
	}
}

func s3Endpoint(value string) string {
	u, err := url.Parse(value)
	if err != nil || articleURL(value) != "" || strings.TrimSuffix(value, "/") != "https://"+u.Host {
		return "an https address without a path"
	}
	return ""
}

func bucketName(value string) string {
	if s3utils.CheckValidBucketNameStrict(value) != nil {
		return "the name of a bucket"
	}
	return ""
}

func certificates(value string) string {
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(value)) {
		return "certificates in PEM"
	}
	return ""
}

func hostName(value string) string {
	if !isHost(value) || net.ParseIP(value) != nil {
		return "a host name"
	}
	return ""
}

// isHost takes an address or a name that DNS can have.
func isHost(value string) bool {
	tooLong := func(part string) bool { return len(part) > validation.DNS1123LabelMaxLength }
	return net.ParseIP(value) != nil ||
		len(validation.IsDNS1123Subdomain(value)) == 0 && !slices.ContainsFunc(strings.Split(value, "."), tooLong)
}

func cidrs(value string) string {
	for _, cidr := range strings.Fields(value) {
		if network, err := netip.ParsePrefix(cidr); err != nil || network != network.Masked() ||
			network.Addr().Is4In6() {
			return "a list of networks with spaces between them"
		}
	}
	return ""
}

func dnsServers(value string) string {
	servers := strings.Fields(value)
	for _, server := range servers {
		if _, valid := parseDNSServer(server); !valid {
			servers = nil
		}
	}
	if len(servers) == 0 {
		return "a list of networks and of pods as NAMESPACE/LABEL=VALUE or NAMESPACE/LABEL=VALUE:PORT, with spaces between them"
	}
	return ""
}

// parseDNSServer reads a network, or pods. Keys of labels may have a slash, but neither they nor values have
// a colon.
func parseDNSServer(text string) (server kube.DNSServer, valid bool) {
	server.Port = 53
	if cidrs(text) == "" {
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
	namespace, label, _ := strings.Cut(pods, "/")
	key, value, hasValue := strings.Cut(label, "=")
	server.Namespace, server.Labels = namespace, map[string]string{key: value}
	return server, hasValue && len(validation.IsDNS1123Label(namespace)) == 0 &&
		len(validation.IsQualifiedName(key)) == 0 && len(validation.IsValidLabelValue(value)) == 0
}
