package config

import (
	"cmp"
	"crypto/x509"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones, where the machine has none

	"filippo.io/age"
	"github.com/distribution/reference"
	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/robfig/cron/v3"
	"golang.org/x/crypto/bcrypt"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/pairs"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

// A check returns what the value should be and is not, or "" if it is right.
type check func(value string) string

func satisfies(what string, valid func(value string) bool) check {
	return func(value string) string {
		if valid(value) {
			return ""
		}
		return what
	}
}

func matches(pattern, what string) check {
	return satisfies(what, regexp.MustCompile(pattern).MatchString)
}

// both asks the second check only if the first accepts the value.
func both(first, second check) check {
	return func(value string) string { return cmp.Or(first(value), second(value)) }
}

// listOf accepts one or more valid texts with spaces between them.
func listOf(valid func(text string) bool) func(value string) bool {
	return func(value string) bool {
		all := strings.Fields(value)
		return len(all) > 0 && !slices.ContainsFunc(all, func(text string) bool { return !valid(text) })
	}
}

func optional(c check) check {
	return func(value string) string {
		if value == "" {
			return ""
		}
		return c(value)
	}
}

var (
	notEmpty   = matches(`\S`, "a value")
	namePrefix = matches(`^[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?-$`,
		"a prefix of at most 32 small letters, digits and hyphens with a hyphen at its end")
	storageClass = objectName("the name of a storage class")
	builderName  = matches(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`, "the name of a buildx builder")
	count        = matches(`^[0-9]{1,3}$`, "a number from 0 to 999")
	compression  = matches(`^([1-9]|1[0-9])$`, "a number from 1 to 19")
	boolean      = matches(`^(true|false)$`, "true or false")
	region       = matches(`^[a-zA-Z0-9][a-zA-Z0-9-]*$`, "a region")
	days         = matches(`^[1-9][0-9]{0,2}$`, "a number from 1 to 999")
	replicas     = matches(`^([1-9]|1[0-9]|20)$`, "a number from 1 to 20")
	output       = matches(`^[^/\s]+(/[^/\s]+){3}$`, "organization/project/stack/output")
	platforms    = satisfies("linux/amd64, linux/arm64, or both with a space between them",
		listOf(regexp.MustCompile(`^linux/(amd64|arm64)$`).MatchString))
	bucketPrefix = matches(`^[a-zA-Z0-9_-]{1,64}(/[a-zA-Z0-9_-]{1,64}){0,3}$`,
		"a folder of letters, digits, hyphens and underscores, or up to four with slashes between them")
	// A backup that takes at most a day has ended when the next one starts.
	withinADay   = duration(time.Minute, 24*time.Hour, "a time from 1m to 24h, in whole seconds")
	withinAnHour = duration(time.Second, time.Hour, "a time from 1s to 1h, in whole seconds")
	// A colon ends the name in the header that sends it.
	extensions = matches(`^\s*([a-z][a-z0-9_-]*\s*)+$`, "a list of extensions with spaces between them")
	clients    = satisfies("a list of pods, as NAMESPACE/LABEL=VALUE with spaces between them",
		listOf(func(pods string) bool {
			_, valid := parsePods(pods)
			return valid
		}))
	username = matches(`^[^:]*[^:\s][^:]*$`, "a user's name, without a colon")
	password = satisfies(kube.PasswordRule, kube.ValidPassword)

	timeZone = satisfies("a time zone", func(value string) bool {
		_, err := time.LoadLocation(value)
		return err == nil && value != "" && value != "Local"
	})
	recipient = satisfies("a public key of age", func(value string) bool {
		_, err := age.ParseX25519Recipient(value)
		return err == nil
	})
	identity = satisfies("a private key of age", func(value string) bool {
		_, err := age.ParseX25519Identity(value)
		return err == nil
	})
	certificates = satisfies("certificates in PEM", func(value string) bool {
		return x509.NewCertPool().AppendCertsFromPEM([]byte(value))
	})
	bucketName = satisfies("the name of a bucket", func(value string) bool {
		return s3utils.CheckValidBucketNameStrict(value) == nil
	})
	kubeconfig = satisfies("the text of a kubeconfig", func(value string) bool {
		config, err := clientcmd.Load([]byte(value))
		return err == nil && len(config.Contexts) > 0
	})
)

// logins are users as htpasswd -B prints them.
var logins = satisfies("a list of users as NAME:HASH, with hashes of bcrypt, each name once",
	func(value string) bool {
		names := map[string]bool{}
		return listOf(func(user string) bool {
			name, hash, _ := strings.Cut(user, ":")
			twice := names[name]
			names[name] = true
			_, err := bcrypt.Cost([]byte(hash))
			return name != "" && !twice && err == nil
		})(value)
	})

func objectName(what string) check {
	return satisfies(what, func(value string) bool { return len(validation.IsDNS1123Subdomain(value)) == 0 })
}

var gateway = satisfies("a Gateway as NAMESPACE/NAME", func(value string) bool {
	namespace, name, _ := strings.Cut(value, "/")
	return len(validation.IsDNS1123Label(namespace)) == 0 && len(validation.IsDNS1123Subdomain(name)) == 0
})

func label(what string) check {
	return satisfies(what, func(value string) bool { return len(validation.IsDNS1123Label(value)) == 0 })
}

func duration(least, most time.Duration, what string) check {
	return satisfies(what, func(value string) bool {
		d, err := time.ParseDuration(value)
		return err == nil && least <= d && d <= most && d%time.Second == 0
	})
}

// image requires a version: latest may be another one at the next pull, on the same volume.
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

// postgresImage reads the version from the tag, and takes tags without one.
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

func memory(least string) check { return quantity(least, "16Ti") }

func size(least string) check { return quantity(least, "1Pi") }

// schedule parses with the library that Kubernetes uses. Kubernetes has a field of its own for the time zone.
// The times of @every shift whenever the cluster's controller restarts.
func schedule(value string) string {
	times, err := cron.ParseStandard(value)
	if err != nil || strings.Contains(value, "TZ=") || strings.HasPrefix(value, "@every") ||
		value != strings.TrimSpace(value) {
		return "a cron schedule of five fields"
	}
	if times.Next(time.Now()).IsZero() {
		return "a cron schedule of a day that exists"
	}
	return ""
}

// namesOneDatabase reports whether a restore point is the name of a backup or an archive.
func namesOneDatabase(value string) bool {
	return restorepoint.IsBackup(value) || restorepoint.ArchiveStanza(value) != ""
}

func restorePoint(value string) string {
	at, err := time.Parse(time.RFC3339, value)
	switch {
	case err == nil && at.After(time.Now()):
		return "a time in the past"
	case err == nil, value == restorepoint.Latest, value == restorepoint.End, namesOneDatabase(value):
		return ""
	}
	return "latest, end, the name of a backup or an archive, or a time such as 2026-11-22T14:05:00Z"
}

func postgresParameters(value string) string {
	if _, err := statefulset.ParseParameters(value); err != nil {
		return "a list of name=value with semicolons between them: " + err.Error()
	}
	return ""
}

func secretVersions(secrets []generatedSecret) check {
	return func(value string) string {
		if _, err := parseVersions(value, secrets); err != nil {
			return "a list of name=version with semicolons between them: " + err.Error()
		}
		return ""
	}
}

// annotations leaves out those of Pulumi, which decide how the program changes objects.
func annotations(value string) string {
	given, err := pairs.Parse(value)
	if err != nil {
		return "a list of name=value with semicolons between them: " + err.Error()
	}
	for name := range given {
		switch {
		case len(validation.IsQualifiedName(strings.ToLower(name))) > 0:
			return "a list of annotations: " + strconv.Quote(name) + " is no name of one"
		case strings.HasPrefix(name, "pulumi.com/"):
			return "a list of annotations: " + name + " is not yours to set"
		case name == kube.IssuerAnnotation:
			return "a list of annotations: ingressIssuer sets " + name
		}
	}
	return ""
}
