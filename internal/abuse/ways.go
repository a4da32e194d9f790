package abuse

import (
	"bytes"
	"compress/gzip"
	"net"
	"strconv"
	"strings"
	"time"
)

// bomb is 8 MiB of zeros.
var bomb = string(compress(make([]byte, 8<<20)))

func compress(content []byte) []byte {
	var compressed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&compressed, gzip.BestCompression) // which is a level
	_, _ = w.Write(content)                                        // memory takes it
	_ = w.Close()
	return compressed.Bytes()
}

// postPath stands for a path that takes bodies, which is another for each server.
const postPath = "POST-PATH"

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }

func post(header string) string {
	return "POST " + postPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + header +
		"\r\n"
}

func (s *stranger) post(request string) string {
	return strings.Replace(request, postPath, s.target.Post, 1)
}

// large is about the most that the servers take of a header, so that they have to keep it while they wait for
// the rest.
var large = strings.Repeat("x", 10<<10)

func slowHeader(s *stranger) {
	if s.connect() && s.say("GET "+s.target.Get+" HTTP/1.1\r\nHost: localhost\r\nX-Large: "+large) {
		s.drip(large)
	}
}

func slowBody(s *stranger) {
	if s.connect() && s.say(s.post(post("Content-Length: 16000\r\n"))+`{"title": "`+large) {
		s.drip(large)
	}
}

func slowReader(s *stranger) {
	if !s.connect() {
		return
	}
	if tcp, ok := s.raw.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(1) // as small as it gets
	}
	if !s.say(strings.Repeat(get(s.target.Large), 2)) {
		return
	}
	s.begun()
	_ = s.conn.SetReadDeadline(time.Time{})
	for s.rest(dripEvery) {
		if _, err := s.conn.Read(make([]byte, 1)); err != nil {
			return
		}
	}
}

var (
	megabyte    = strings.Repeat("x", 1<<20)
	hugeHeaders = []string{"X-Huge: " + megabyte, strings.Repeat("X-Many: x\r\n", 100_000), megabyte + ": x"}
)

func hugeHeader(s *stranger) {
	s.ask("GET " + s.target.Get + " HTTP/1.1\r\nHost: localhost\r\n" + hugeHeaders[s.turn%len(hugeHeaders)] +
		"\r\n\r\n")
}

var hugeBodies = []struct{ header, part, end string }{
	{"Content-Length: 1073741824\r\n", megabyte, ""},
	{"Content-Length: 9223372036854775807\r\n", megabyte, ""},
	{"Transfer-Encoding: chunked\r\n", "100000\r\n" + megabyte + "\r\n", "0\r\n\r\n"},
	{"Transfer-Encoding: chunked\r\n", strings.Repeat("1\r\nx\r\n", 100_000), "0\r\n\r\n"},
	{"Transfer-Encoding: chunked\r\n", "1;" + megabyte + "\r\nx\r\n", "0\r\n\r\n"},
	{"Transfer-Encoding: chunked\r\nTrailer: X-Huge\r\n", "", "1\r\nx\r\n0\r\nX-Huge: " + megabyte + "\r\n\r\n"},
	{"Content-Encoding: gzip\r\nContent-Length: " + strconv.Itoa(len(bomb)) + "\r\n", "", bomb},
}

func hugeBody(s *stranger) {
	body := hugeBodies[s.turn%len(hugeBodies)]
	if !s.connect() || !s.say(s.post(post(body.header))) {
		return
	}
	for range 16 {
		if !s.say(body.part) {
			return
		}
	}
	if s.say(body.end) {
		s.listen()
	}
}

var wrongLengths = []string{
	post("Content-Length: 100\r\n") + "{}",
	post("Content-Length: 2\r\n") + strings.Repeat("{}", 100),
	post("Content-Length: -1\r\n") + "{}",
	post("Content-Length: 2\r\nContent-Length: 3\r\n") + "{}}",
	post("Content-Length: 99999999999999999999\r\n") + "{}",
	post("Content-Length: 0x2\r\n") + "{}",
	post("Transfer-Encoding: chunked\r\n") + "5\r\n{}",
}

func wrongLength(s *stranger) {
	if s.connect() && s.say(s.post(wrongLengths[s.turn%len(wrongLengths)])) {
		if half, ok := s.conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		s.listen()
	}
}

// silence comes before TLS, too.
func silence(s *stranger) {
	if s.connectPlainly() {
		s.linger()
	}
}

func idleness(s *stranger) {
	if s.connect() && s.say(get(s.target.Get)) {
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
		_, _ = s.conn.Read(make([]byte, 16<<10))
		s.linger()
	}
}

var oddPaths = []string{
	"//", "//etc/passwd", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd",
	"/static/../../etc/passwd",
	"/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd", `/..\..\etc\passwd`, "/%00", "/todos/%00", "/todos/1%00", "/%",
	"/%zz", "/\x00", "/\xff\xfe",
	"/todos/..", "/todos//", "/todos/-1", "/todos/9223372036854775808", "/todos?limit=-1", "/todos?%zz=1",
	"/todos?a=1;b=2", "?", "#", "*", "", "todos",
	"http://elsewhere.example/pingpong", "http://[::1", "gopher://app/", "//app:80:80/", "/" +
		strings.Repeat("a", 8<<10), "/" + strings.Repeat("../", 4000),
	"/" + strings.Repeat("/", 8<<10), "/todos?" + strings.Repeat("a=1&", 3000), "/livez/..;/metrics",
	"/debug/pprof/", "/metrics", "/form/add", "/backups/../data",
}

func oddPath(s *stranger) {
	s.ask("GET " + oddPaths[s.turn%len(oddPaths)] + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

var oddHosts = []string{
	"", "elsewhere.example", "127.0.0.1", "app:99999", "app\x00", "a b", "[::1", strings.Repeat("h", 12<<10),
	"app\r\nHost: elsewhere.example",
}

func oddHost(s *stranger) {
	host := oddHosts[s.turn%len(oddHosts)]
	s.ask("GET " + s.target.Large + " HTTP/1.1\r\nHost: " + host + "\r\nX-Forwarded-Host: " + host +
		"\r\nConnection: close\r\n\r\n")
}

var malformed = []string{
	"GET /", "GET /\r\n\r\n", "GET / HTTP/0.9\r\n\r\n", "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
	"get / http/1.1\r\nhost: localhost\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\nHost: localhost\n\n", "GET / HTTP/1.1\rHost: localhost\r\r",
	"GET  /  HTTP/1.1\r\nHost: localhost\r\n\r\n", "\r\n\r\n\r\n\r\n", "\n", "\x00\x00\x00\x00",
	"GET / HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\r\n", "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nNo colon\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
	"GET /%0d%0aX-Injected:%20yes HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\tb\"'<>{}\xff\r\n\r\n",
	"CONNECT app:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
	strings.Repeat("A", 10_000) + " / HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 160),
	post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\nG" + get("/"),
	post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "8\r\nSMUGGLED\r\n0\r\n\r\n",
	post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") + "0\r\n\r\n",
	post("Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n",
	post("Transfer-Encoding : chunked\r\n") + "0\r\n\r\n", post("Transfer-Encoding: chunked\r\n") +
		"zz\r\n{}\r\n0\r\n\r\n",
	post("Transfer-Encoding: chunked\r\n") + "-1\r\n{}\r\n0\r\n\r\n", post("Transfer-Encoding: chunked\r\n") +
		"ffffffffffffffffff\r\n{}\r\n",
	post("Transfer-Encoding: chunked\r\n") + "2\n{}\n0\n\n", post("Transfer-Encoding: chunked\r\n") +
		"2\r\n{}0\r\n\r\n", post("Expect: 100-continue\r\nContent-Length: 10\r\n"),
	post("Expect: nonsense\r\nContent-Length: 2\r\n") + "{}",
	post("Content-Encoding: gzip\r\nContent-Length: 4\r\n") + "\x1f\x8b\x08\x00",
}

// malformedRequest is sent where TLS is expected, too.
func malformedRequest(s *stranger) {
	request := s.post(malformed[s.turn%len(malformed)])
	s.ask(request)
	if s.target.TLS != nil && s.connectPlainly() && s.say(request) {
		s.listen()
	}
}

// reset leaves in the midst of everything.
func reset(s *stranger) {
	first := get(s.target.Large)
	all := first + s.post(post("Content-Length: 1000\r\n")) + "{"
	for _, sent := range []string{"", all[:1], all[:10], first, all} {
		if s.connect() && sent != "" {
			s.say(sent)
		}
		s.leave()
	}
}

// pipeline asks again and again, and hears no answer.
func pipeline(s *stranger) {
	requests := strings.Repeat(get(s.target.Get), 100)
	if s.connect() {
		for s.say(requests) {
			s.begun()
		}
	}
}

// flood asks again as soon as there is an answer.
func flood(s *stranger) {
	if !s.connect() {
		return
	}
	answer := make([]byte, 64<<10)
	for s.say(get(s.target.Get)) {
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := s.conn.Read(answer); err != nil {
			return
		}
		s.begun()
	}
}
