package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"regexp"
)

// Refusal explains why a request is refused: it is for another site (421), or comes from a page of another
// site (403).
type Refusal struct {
	Status int
	// The headers Host, Origin and Sec-Fetch-Site of the request; empty if it has none.
	Host, Origin, Site string
}

//go:embed refusal.html
var refusalSource string

var refusal = template.Must(template.New("refusal").Funcs(functions).Parse(refusalSource))

// Render writes the refusal as HTML.
func (r Refusal) Render(w io.Writer) error { return refusal.Execute(w, r) }

// Misdirected reports whether the request is for another site.
func (r Refusal) Misdirected() bool { return r.Status == http.StatusMisdirectedRequest }

// Detail tells programs what was compared, and what to set if the request was legitimate.
func (r Refusal) Detail() string {
	if r.Misdirected() {
		return fmt.Sprintf("this site is not called %q (Host): "+
			"if people reach the todos by this name, set ingressHost or todoOwnOrigins", r.Host)
	}
	const refused = "a page of another site asked for this: "
	if r.Site != "" {
		return fmt.Sprintf(refused+"Sec-Fetch-Site is %q", r.Site)
	}
	return fmt.Sprintf(refused+"Origin is %q, and Host %q; if both are the todos' own page, set todoOwnOrigins",
		r.Origin, r.Host)
}

// origins matches origins that are safe in a shell, because strangers choose what a request contains.
var origins = regexp.MustCompile(`^https?://([a-zA-Z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?$`)

// Setting returns the value of todoOwnOrigins that would allow the request, or "" if none would.
func (r Refusal) Setting() string {
	if r.Site != "" || !origins.MatchString(r.Origin) {
		return ""
	}
	return r.Origin
}
