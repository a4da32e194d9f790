package kube

import (
	"errors"
	"maps"
	"slices"
)

// Missing returns an error that names each required argument of a component that is not given, or nil.
func Missing(given map[string]bool) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !given[name] {
			faults = append(faults, errors.New(name+" is required"))
		}
	}
	return errors.Join(faults...)
}
