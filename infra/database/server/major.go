package server

import (
	"regexp"

	"github.com/distribution/reference"
)

// OfficialImage returns the official image of a major version.
func OfficialImage(major string) string { return "postgres:" + major }

var digits = regexp.MustCompile(`^[0-9]+`)

// Major returns the major version of Postgres that the tag of an image begins with, such as 17 of
// postgres:17.5-trixie, or "" if it begins with none.
func Major(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	tagged, is := named.(reference.Tagged)
	if !is {
		return ""
	}
	return digits.FindString(tagged.Tag())
}
