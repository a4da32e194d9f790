package http

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
	"github.com/stateful-k3s/stateful-k3s/app/todo-frontend/page"
)

// headers are added to every answer. The policy allows only resources of the page's own origin, nothing
// inline, and no strings where a browser expects HTML or script.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
	// With no-referrer, browsers would send "Origin: null" with the page's own forms.
	"Referrer-Policy":        "same-origin",
	"X-Content-Type-Options": "nosniff",
}

func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// Guard refuses requests that other sites make through a visitor's browser.
type Guard struct {
	hosts      []string
	protection *http.CrossOriginProtection
}

// NewGuard takes the page's host names in addition to localhost, and its own origins, such as
// https://todo.example.com. Behind a proxy that changes Host, only the origins tell the page's own requests.
func NewGuard(hosts, origins []string) (*Guard, error) {
	g := &Guard{append([]string{"localhost"}, hosts...), http.NewCrossOriginProtection()}
	for _, origin := range origins {
		if err := g.protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("%q is not an origin such as https://todo.example.com: %w", origin, err)
		}
		u, err := url.Parse(origin)
		if err != nil {
			return nil, err
		}
		g.hosts = append(g.hosts, u.Hostname())
	}
	return g, nil
}

// protect refuses requests for other host names, and changes that pages of other origins request. The check
// of the name is against DNS rebinding: a page whose name resolves to this server has the same origin as its
// requests. Browsers since 2020 send Sec-Fetch-Site (over HTTPS) or Origin; a client that sends neither is
// not a browser.
func (g *Guard) protect(next http.Handler) http.Handler {
	return withHeaders(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.answersTo(r.Host) {
			refuse(w, r, page.Refusal{Status: http.StatusMisdirectedRequest, Host: r.Host})
			return
		}
		if g.protection.Check(r) != nil {
			refuse(w, r, page.Refusal{
				Status: http.StatusForbidden, Host: r.Host, Origin: r.Header.Get("Origin"),
				Site: r.Header.Get("Sec-Fetch-Site"),
			})
			return
		}
		next.ServeHTTP(w, r)
	}))
}

func (g *Guard) answersTo(host string) bool {
	name := strings.ToLower((&url.URL{Host: host}).Hostname())
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return slices.Contains(g.hosts, strings.TrimSuffix(name, "."))
}

// refuse answers browsers with a page, and programs with a problem.
func refuse(w http.ResponseWriter, r *http.Request, refusal page.Refusal) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		web.Problem(w, refusal.Status, refusal.Detail())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(refusal.Status)
	if err := refusal.Render(w); err != nil {
		slog.Debug("the visitor has gone", "error", err)
	}
}
