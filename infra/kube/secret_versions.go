package kube

// Versions are texts by the names of generated secrets. Another text replaces that secret alone.
type Versions map[string]string

// Of returns the version of a secret: the shared one, and its own if it has one.
func (v Versions) Of(name, shared string) string {
	if own, set := v[name]; set {
		return shared + " " + own
	}
	return shared
}
