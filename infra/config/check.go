package config

import (
	"regexp"

	"github.com/distribution/reference"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
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
	notEmpty    = matches(`\S`, "a value")
	namePrefix  = matches(`^[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?-$`, "a prefix of at most 32 small letters, digits and hyphens with a hyphen at its end")
	builderName = matches(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`, "the name of a buildx builder")
	replicas    = matches(`^([1-9]|1[0-9]|20)$`, "a number from 1 to 20")
	// Short enough for Redis and free of what shells and command lines take apart.
	password = matches(`^[!-~]{8,128}$`, "8 to 128 printable ASCII characters without spaces")
)

func storageClass(value string) string {
	if len(validation.IsDNS1123Subdomain(value)) > 0 {
		return "the name of a storage class"
	}
	return ""
}

func image(value string) string {
	if _, err := reference.ParseNormalizedNamed(value); err != nil {
		return "an image"
	}
	return ""
}

// registryPath wants the host spelled out: the docker-build plugin gives images of shortened names no digest.
func registryPath(value string) string {
	if _, err := reference.ParseNamed(value + "/app"); err != nil {
		return "a registry's host, with a path if it needs one"
	}
	return ""
}

func quantity(least string) check {
	minimum := resource.MustParse(least)
	return func(value string) string {
		q, err := resource.ParseQuantity(value)
		switch {
		case err != nil:
			return "a Kubernetes quantity"
		case q.Cmp(minimum) < 0:
			return "at least " + least
		}
		return ""
	}
}
