// Package pairs reads settings that are lists of names and values.
package pairs

import (
	"fmt"
	"strings"
)

// Parse reads name=value pairs with semicolons between them. Spaces around names and values do not count. It
// fails on a name without a value, and on one that is there twice.
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
