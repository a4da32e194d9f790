package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"regexp"
)

// Refusal is why a request is not handled: it is for another site (421), or a page of another site asks for
// it (403).
type Refusal struct {
	Status int
	// Host is what was asked for, as the request says. Origin is where it comes from, and Site what the browser
	// says that is to Host, such as cross-site; each is empty if it is not known.
	Host, Origin, Site string
}

//go:embed refusal.html
var refusalSource string

var refusal = template.Must(template.New("refusal").Funcs(functions).Parse(refusalSource))

// Render writes a page for people.
func (r Refusal) Render(w io.Writer) error { return refusal.Execute(w, r) }

// Misdirected tells whether the request is for another site.
func (r Refusal) Misdirected() bool { return r.Status == http.StatusMisdirectedRequest }

// Detail tells programs what was compared, and what to do if that should be the same.
func (r Refusal) Detail() string {
	if r.Misdirected() {
		return fmt.Sprintf("nobody here is called %q (Host): if people reach the todos by this name, set ingressHost or todoOwnOrigins", r.Host)
	}
	const refused = "a page of another site asked for this: "
	if r.Site != "" {
		return fmt.Sprintf(refused+"Sec-Fetch-Site is %q", r.Site)
	}
	return fmt.Sprintf(refused+"Origin is %q, and Host %q; if both are the todos' own page, set todoOwnOrigins",
		r.Origin, r.Host)
}

// origins are those that need no quotes in a shell: strangers choose what stands in a request.
var origins = regexp.MustCompile(`^https?://([a-zA-Z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?$`)

// Setting is what todoOwnOrigins has to have if the request came by the page's own address; empty if it
// cannot have.
func (r Refusal) Setting() string {
	if r.Site != "" || !origins.MatchString(r.Origin) {
		return ""
	}
	return r.Origin
}
