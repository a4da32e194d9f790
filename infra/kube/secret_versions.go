package kube

import "cmp"

// FirstVersion is the version of a generated secret that has no other.
const FirstVersion = "1"

// Versions are any texts, by the names of generated secrets. Another one replaces that secret.
type Versions map[string]string

// Of returns the version of a secret.
func (v Versions) Of(name string) string { return cmp.Or(v[name], FirstVersion) }
