package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
)

// Refusal explains why a request is refused: it is for another site (421), or comes from a page of another
// site (403).
type Refusal struct {
	Status int
	// The headers Host, Origin and Sec-Fetch-Site of the request. Origin and Site are empty if it has none, or
	// if they were not compared.
	Host, Origin, Site string
}

//go:embed refusal.html
var refusalSource string

var refusal = template.Must(template.New("refusal").Funcs(functions).Parse(refusalSource))

// Render writes the refusal as HTML.
func (r Refusal) Render(w io.Writer) error { return refusal.Execute(w, r) }

// Misdirected reports whether the request is for another site.
func (r Refusal) Misdirected() bool { return r.Status == http.StatusMisdirectedRequest }

// Detail tells programs what was compared. What to set if the request was legitimate is the business of
// whoever runs the site: docs/faults.md has it.
func (r Refusal) Detail() string {
	if r.Misdirected() {
		return fmt.Sprintf("this site is not called %q (Host)", r.Host)
	}
	const refused = "a page of another site asked for this: "
	if r.Site != "" {
		return fmt.Sprintf(refused+"Sec-Fetch-Site is %q", r.Site)
	}
	return fmt.Sprintf(refused+"Origin is %q, and Host %q", r.Origin, r.Host)
}
