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

// wiki is a site with a page that redirects to a random article.
type wiki struct {
	client client
	url    *url.URL
}

// random returns the URL of an article.
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

// resolve returns the URL in a Location header. It must be on the same host as the page, not less secure, and
// not the page itself.
func resolve(page *url.URL, location string) (string, error) {
	article, err := page.Parse(location)
	if err != nil {
		return "", fmt.Errorf("which is no URL (%w)", err)
	}
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

// site returns host:port without the scheme's default port.
func site(u *url.URL) string {
	port := u.Port()
	if implied := map[string]string{"http": "80", "https": "443"}; port == implied[u.Scheme] {
		port = ""
	}
	return strings.ToLower(u.Hostname()) + ":" + port
}
