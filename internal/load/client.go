// Package load sends requests to an app from many concurrent clients, and counts the answers.
package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Timeout is how long a client waits for an answer. Apps promise to answer sooner.
const Timeout = time.Minute

// Dial connects to the app.
type Dial func(ctx context.Context) (net.Conn, error)

// Client is an HTTP client that keeps one connection. Unlike Go's own it never repeats a request by itself,
// and it uses little CPU beside the app that it measures. It is for one goroutine.
type Client struct {
	Dial Dial

	conn          net.Conn
	reader        *bufio.Reader
	request, body []byte
}

// ErrNotSent means that there was no connection, so the app cannot have seen the request.
var ErrNotSent = errors.New("not sent")

// Request is what a client sends.
type Request struct {
	Method, Path string
	// Header has lines that end in \r\n. The client adds Host and Content-Length.
	Header string
	Body   []byte
}

// Get is Do for a GET request.
func (c *Client) Get(ctx context.Context, path string) (status int, body []byte, err error) {
	return c.Do(ctx, Request{Method: "GET", Path: path})
}

// Do returns the status and body of the answer. The body is valid until the next call. After an error the
// next call makes a new connection.
func (c *Client) Do(ctx context.Context, r Request) (status int, body []byte, err error) {
	if c.conn == nil {
		conn, err := c.Dial(ctx)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		c.conn, c.reader = conn, bufio.NewReader(conn)
	}
	status, keep, err := c.exchange(r)
	if err != nil || !keep {
		c.Close()
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	return status, c.body, nil
}

// Close closes the connection, if there is one.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *Client) exchange(r Request) (status int, keep bool, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return 0, false, err
	}
	c.request = append(c.request[:0], r.Method+" "+r.Path+" HTTP/1.1\r\nHost: localhost\r\n"+r.Header...)
	if r.Body != nil {
		c.request = fmt.Appendf(c.request, "Content-Length: %d\r\n", len(r.Body))
	}
	c.request = append(append(c.request, "\r\n"...), r.Body...)
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, false, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	// HTTP/1.1 200 OK
	if len(line) < len("HTTP/1.1 200") {
		return 0, false, fmt.Errorf("%q is no status line", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, err
	}
	length, keep := -1, true
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
		if !ok {
			break
		}
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, err
			}
		case "Connection":
			keep = string(value) != "close"
		}
	}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		length = 0
	}
	if length < 0 {
		return 0, false, errors.New("the answer has no Content-Length")
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err = io.ReadFull(c.reader, c.body)
	return status, keep, err
}
