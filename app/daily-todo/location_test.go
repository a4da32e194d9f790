package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const source = "https://en.wikipedia.org/wiki/Special:Random"

func TestResolve(t *testing.T) {
	for location, article := range map[string]string{
		"https://en.wikipedia.org/wiki/Train":                       "/wiki/Train",
		"/wiki/Train":                                               "/wiki/Train",
		"Train":                                                     "/wiki/Train",
		"../w/index.php?title=Train":                                "/w/index.php?title=Train",
		"//en.wikipedia.org/wiki/Train":                             "/wiki/Train",
		"https://EN.Wikipedia.org/wiki/Train":                       "https://EN.Wikipedia.org/wiki/Train",
		"https://en.wikipedia.org:443/wiki/Train":                   "https://en.wikipedia.org:443/wiki/Train",
		"https://en.wikipedia.org":                                  "/",
		"/wiki/Caf%C3%A9_%28disambiguation%29":                      "/wiki/Caf%C3%A9_%28disambiguation%29",
		"/wiki/AC%2fDC,_(%27live%27)!_*;@&=+$~":                     "/wiki/AC%2fDC,_(%27live%27)!_*;@&=+$~",
		"/wiki/Train?a=%2f&b=#History_%26c":                         "/wiki/Train?a=%2f&b=#History_%26c",
		"/wiki/Café":                                                "/wiki/Caf%C3%A9",
		"/wiki/\xff<\"\\^`{|}>":                                     "/wiki/%FF%3C%22%5C%5E%60%7B%7C%7D%3E",
		"/wiki/Special:Random?again=1":                              "/wiki/Special:Random?again=1",
		"\\\\evil.example/wiki/Train":                               "/wiki/%5C%5Cevil.example/wiki/Train",
		"https://en.wikipedia.org/wiki/https://evil.example/wiki/A": "/wiki/https://evil.example/wiki/A",
	} {
		t.Run(location, func(t *testing.T) {
			got, err := resolve(parse(t, source), location)
			require.NoError(t, err)
			if strings.HasPrefix(article, "/") {
				article = "https://en.wikipedia.org" + article
			}
			assert.Equal(t, article, got)
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	for location, reason := range map[string]string{
		"http://en.wikipedia.org/wiki/Train":            "which is not https",
		"ftp://en.wikipedia.org/wiki/Train":             "which is not https",
		"javascript:alert(1)":                           "which is not https",
		"https://de.wikipedia.org/wiki/Zug":             "which is another host",
		"//evil.example/wiki/Train":                     "which is another host",
		"https://en.wikipedia.org.evil.example/":        "which is another host",
		"https://en.wikipedia.org:8443/wiki/Train":      "which is another host",
		"https:wiki/Train":                              "which is another host",
		"https:///wiki/Train":                           "which is another host",
		"https://en.wikipedia.org@evil.example/wiki/T":  "which is another host",
		"https://me:secret@en.wikipedia.org/wiki/Train": "which holds a user name",
		"https://en.wikipedia.org:x/": `which is no URL (parse "https://en.wikipedia.org:x/": ` +
			`invalid port ":x" after host)`,
		"/wiki/100%_cotton": `which is no URL (parse "/wiki/100%_cotton": ` +
			`invalid URL escape "%_c")`,
		source:             "which is that page itself",
		"":                 "which is that page itself",
		"#top":             "which is that page itself",
		"Special%3ARandom": "which is that page itself",
		"https://EN.wikipedia.org:443/wiki/./Special:Random": "which is that page itself",
	} {
		t.Run(location, func(t *testing.T) {
			_, err := resolve(parse(t, source), location)
			assert.EqualError(t, err, reason)
		})
	}
}

func TestResolveWithoutTLS(t *testing.T) {
	page := parse(t, "http://wiki.lan/random")
	for location, article := range map[string]string{
		"/train":                 "http://wiki.lan/train",
		"http://wiki.lan/train":  "http://wiki.lan/train",
		"https://wiki.lan/train": "https://wiki.lan/train",
	} {
		got, err := resolve(page, location)
		require.NoError(t, err)
		assert.Equal(t, article, got)
	}
	_, err := resolve(page, "ftp://wiki.lan/train")
	assert.EqualError(t, err, "which is not https")
}

func parse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u
}

// FuzzLocation checks the todo that is posted for any answer of Wikipedia.
func FuzzLocation(f *testing.F) {
	for _, location := range []string{
		"https://en.wikipedia.org/wiki/Train", "/wiki/Caf%C3%A9_(x)?a=b#c", "//en.wikipedia.org:443/é %",
		"https://en.wikipedia.org:/", "http://en.wikipedia.org/wiki/Train",
		"https://me@en.wikipedia.org/", "https://[::1]/", "https:opaque", "/wiki/" + strings.Repeat("%C3%A9", 30),
		source, "", "\x00\n\xff", "..//../a;b",
	} {
		f.Add(location)
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, location string) {
		server := &recorder{location: location}
		c := client{transport: server, timeout: time.Minute}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := addTodo(ctx, wiki{c, parse(t, source)}, backend{c, parse(t, "http://backend"), "job"})
		require.Equal(t, err == nil, len(server.posted) == 1, "%v", err)
		for _, title := range server.posted {
			address, ok := strings.CutPrefix(title, "Read ")
			require.True(t, ok, title)
			article := parse(t, address)
			assert.Equal(t, "https", article.Scheme)
			assert.Equal(t, "en.wikipedia.org", strings.ToLower(article.Hostname()))
			assert.Contains(t, []string{"", "443"}, article.Port())
			assert.Nil(t, article.User)
			assert.True(t, strings.HasPrefix(article.Path, "/"), title)
			again, err := resolve(parse(t, source), address)
			require.NoError(t, err)
			assert.Equal(t, address, again)
		}
	})
}

// recorder redirects each GET to the location and records the titles of POSTs.
type recorder struct {
	location string
	posted   []string
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	if request.Method == http.MethodGet {
		answer.Header()["Location"] = []string{r.location}
		answer.WriteHeader(http.StatusFound)
		return answer.Result(), nil
	}
	var todo struct{ Title string }
	if err := json.NewDecoder(request.Body).Decode(&todo); err != nil {
		return nil, err
	}
	r.posted = append(r.posted, todo.Title)
	answer.WriteHeader(http.StatusCreated)
	return answer.Result(), nil
}
