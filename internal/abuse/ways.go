package abuse

import (
	"strings"
	"time"
)

// All has every abuse.
var All = []Abuse{
	{"slow headers", 1000, slowHeader},
	{"slow bodies", 1000, slowBody},
	{"slow readers", 500, slowReader},
	{"silent connections", 2000, (*stranger).hold},
	{"idle connections", 1000, idle},
	{"large bodies", len(largeBodies), largeBody},
	{"malformed requests", len(malformed), malformedRequest},
	{"requests without a pause", 1, flood},
}

// large is about as much of a header as the apps take, so that servers have to keep it while they wait for
// the rest.
var large = strings.Repeat("x", 7<<10)

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }

// post is a request without its body.
func (s *stranger) post(header string) string {
	return "POST " + s.site.post + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
		header +
		"\r\n"
}

func slowHeader(s *stranger) {
	if s.send("GET " + s.site.get + " HTTP/1.1\r\nHost: localhost\r\nX-Large: " + large) {
		s.drip(large)
	}
}

func slowBody(s *stranger) {
	if s.send(s.post("Content-Length: 16000\r\n") + `{"title": "` + large) {
		s.drip(large)
	}
}

func slowReader(s *stranger) {
	_ = s.conn.SetReadBuffer(1) // the smallest that the kernel allows
	if !s.send(strings.Repeat(get(s.site.large), 2)) {
		return
	}
	_ = s.conn.SetReadDeadline(time.Time{})
	for s.sleep(dripEvery) {
		if _, err := s.conn.Read(make([]byte, 1)); err != nil {
			return
		}
	}
}

func idle(s *stranger) {
	if s.send(get(s.site.get)) {
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
		_, _ = s.conn.Read(make([]byte, 16<<10))
		s.hold()
	}
}

var (
	megabyte    = strings.Repeat("x", 1<<20)
	largeBodies = []struct{ header, part, end string }{
		{"X-Large: " + megabyte + "\r\n", "", ""},
		{strings.Repeat("X-Many: x\r\n", 100_000), "", ""},
		{"Content-Length: 1073741824\r\n", megabyte, ""},
		{"Content-Length: 9223372036854775807\r\n", megabyte, ""},
		{"Transfer-Encoding: chunked\r\n", "100000\r\n" + megabyte + "\r\n", "0\r\n\r\n"},
		{"Transfer-Encoding: chunked\r\n", strings.Repeat("1\r\nx\r\n", 100_000), "0\r\n\r\n"},
		{"Transfer-Encoding: chunked\r\n", "1;" + megabyte + "\r\nx\r\n", "0\r\n\r\n"},
		{"Transfer-Encoding: chunked\r\nTrailer: X-Large\r\n", "", "1\r\nx\r\n0\r\nX-Large: " + megabyte +
			"\r\n\r\n"},
	}
)

func largeBody(s *stranger) {
	body := largeBodies[s.turn%len(largeBodies)]
	if !s.send(s.post(body.header)) {
		return
	}
	for range 16 {
		if !s.send(body.part) {
			return
		}
	}
	if s.send(body.end) {
		s.receive()
	}
}

const postTodos = "POST /todos HTTP/1.1\r\nHost: localhost\r\n"

var malformed = []string{
	"GET /", "GET /\r\n\r\n", "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
	"\x00\x00\x00\x00", "GET /\xff HTTP/1.1\r\nHost: a b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nNo colon\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
	"CONNECT app:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 160),
	postTodos + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG" + get("/"),
	postTodos + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
	postTodos + "Content-Length: -1\r\n\r\n{}",
	postTodos + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
	postTodos + "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
	postTodos + "Expect: nonsense\r\nContent-Length: 2\r\n\r\n{}",
}

func malformedRequest(s *stranger) {
	if s.send(malformed[s.turn%len(malformed)]) {
		s.receive()
	}
}

// flood sends the next request as soon as there is an answer.
func flood(s *stranger) {
	answer := make([]byte, 64<<10)
	for s.send(get(s.site.get)) {
		_ = s.conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := s.conn.Read(answer); err != nil {
			return
		}
	}
}
