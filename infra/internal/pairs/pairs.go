// Package pairs parses settings that are lists of names and values.
package pairs

import (
	"fmt"
	"strings"
)

// Parse parses name=value pairs with semicolons between them, and ignores spaces around names and values. It
// returns an error for a name without a value or with two.
func Parse(text string) (map[string]string, error) {
	pairs := map[string]string{}
	for pair := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if !found {
			return nil, fmt.Errorf("%q has no value", name)
		}
		if _, twice := pairs[name]; twice {
			return nil, fmt.Errorf("%s is set twice", name)
		}
		pairs[name] = strings.TrimSpace(value)
	}
	return pairs, nil
}
