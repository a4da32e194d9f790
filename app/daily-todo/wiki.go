package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cenkalti/backoff/v5"
)

// wiki has a page that redirects to a random article.
type wiki struct {
	client client
	url    *url.URL
}

// random is the address of an article.
func (w wiki) random(ctx context.Context) (article string, err error) {
	err = w.client.send(ctx, call{method: http.MethodGet, url: w.url, read: func(response *http.Response) error {
		location := response.Header.Get("Location")
		if !redirects(response.StatusCode) || location == "" {
			return backoff.Permanent(fmt.Errorf(
				"%s, and no redirect; ARTICLE_URL must name a page that redirects to an article", response.Status))
		}
		article, err = resolve(w.url, location)
		if err != nil {
			return backoff.Permanent(fmt.Errorf(
				"redirects to %.200q, %w; ARTICLE_URL must name a page that redirects to an article of the same site",
				location, err))
		}
		return nil
	}})
	return article, err
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
		http.StatusPermanentRedirect:
		return true
	}
	return false
}

// resolve is the address that a Location header names (RFC 9110, section 10.2.2), as it was sent but for
// characters that no URL has. It is on the same host as the page that sent it, and as safe, but not that page
// itself.
func resolve(page *url.URL, location string) (string, error) {
	reference, err := url.Parse(encode(location))
	if err != nil {
		return "", fmt.Errorf("which is no URL (%w)", err)
	}
	article := page.ResolveReference(reference)
	switch {
	case article.Scheme != "https" && (article.Scheme != "http" || page.Scheme == "https"):
		return "", errors.New("which is not https")
	case site(article) != site(page):
		return "", errors.New("which is another host")
	case article.User != nil:
		return "", errors.New("which holds a user name")
	}
	if article.Path == "" {
		article.Path = "/"
	}
	if article.Path == page.Path && article.RawQuery == page.RawQuery {
		return "", errors.New("which is that page itself")
	}
	return article.String(), nil
}

// site is host:port, without a port that the scheme implies.
func site(u *url.URL) string {
	port := u.Port()
	if implied := map[string]string{"http": "80", "https": "443"}; port == implied[u.Scheme] {
		port = ""
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}

// encode percent-encodes what may not stand in a URL (RFC 3986, section 2).
func encode(text string) string {
	const marks = "-._~:/?#[]@!$&'()*+,;="
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(marks, c) >= 0,
			c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
