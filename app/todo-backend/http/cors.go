package http

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"
)

// preflightAge is how many seconds browsers may remember what is allowed.
const preflightAge = 600

// Origins are the web pages whose scripts may use the todos; "*" stands for all.
type Origins []string

// ParseOrigins reads origins with white space between them, such as "https://example.com
// http://localhost:3000".
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

// Allow tells browsers that pages of these origins may use what next serves. Credentials are never allowed,
// and none are needed.
func (o Origins) Allow(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedOrigins: o,
		AllowedMethods: []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"},
		AllowedHeaders: []string{"Content-Type", "Idempotency-Key", "If-None-Match"},
		ExposedHeaders: []string{"Link", "Location", "ETag", "Retry-After"},
		MaxAge:         preflightAge,
	}).Handler(next)
}
