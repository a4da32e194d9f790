package kube

import (
	"errors"
	"maps"
	"slices"
)

// Missing is an error for each of a component's arguments that has to be given and is not, or nil.
func Missing(given map[string]bool) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !given[name] {
			faults = append(faults, errors.New(name+" is required"))
		}
	}
	return errors.Join(faults...)
}
