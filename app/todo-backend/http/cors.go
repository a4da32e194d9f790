package http

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"
)

const preflightAge = 600 // seconds

// Origins are the web origins whose scripts may use the API; "*" allows all.
type Origins []string

// ParseOrigins reads origins separated by white space, such as "https://example.com http://localhost:3000".
func ParseOrigins(text string) (Origins, error) {
	origins := Origins(strings.Fields(text))
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if origin != "*" && (err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host) {
			return nil, fmt.Errorf("%q is not an origin such as https://example.com, nor *", origin)
		}
	}
	return origins, nil
}

// Allow adds CORS headers to what next serves. It never allows credentials; the API needs none.
func (o Origins) Allow(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedOrigins: o,
		AllowedMethods: []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"},
		AllowedHeaders: []string{"Content-Type", "Idempotency-Key", "If-None-Match"},
		ExposedHeaders: []string{"Link", "Location", "ETag", "Retry-After"},
		MaxAge:         preflightAge,
	}).Handler(next)
}
