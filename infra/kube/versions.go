package kube

// Versions are any texts by the names of generated secrets. A new one replaces that secret and no other.
type Versions map[string]string

// Of returns the version of a secret that shares one with others, and may have one of its own besides.
func (v Versions) Of(name, shared string) string {
	if own, set := v[name]; set {
		return shared + " " + own
	}
	return shared
}
