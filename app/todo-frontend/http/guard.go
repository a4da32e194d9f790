package http

import (
	"net/http"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
)

// headers are those of every answer. The policy allows the page what comes from its own origin, nothing inline, and no
// string where a browser expects HTML or script.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
	// With no-referrer, browsers would send "Origin: null" with the page's own forms.
	"Referrer-Policy":        "same-origin",
	"X-Content-Type-Options": "nosniff",
}

// guard refuses what a page of another origin asks a visitor's browser to change. Browsers of the last years tell by
// Sec-Fetch-Site (over HTTPS) or Origin where a request comes from; what sends neither is no browser, or one that
// is older than 2020.
func guard(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		web.Problem(w, http.StatusForbidden, "a page of another site asked for this")
	}))
	protected := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		protected.ServeHTTP(w, r)
	})
}
