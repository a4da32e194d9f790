package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"regexp"
	"sync/atomic"
	"time"
)

// SegmentReader returns a file of the log by its name, for the server with that data directory. Its error is
// an fs.ErrNotExist if there is no such file.
type SegmentReader func(ctx context.Context, data, name string) ([]byte, error)

// logFile matches the names of segments and of the histories of timelines.
var logFile = regexp.MustCompile(`^([0-9A-F]{24}|[0-9A-F]{8}\.history)$`)

// segmentServer serves files of the log on a socket until it is closed.
type segmentServer struct {
	http.Server

	// failure is why a file that may be there could not be read; nil if that has not happened. Postgres takes
	// each file that it does not get for the end of the log.
	failure atomic.Pointer[error]
}

func serveSegments(ctx context.Context, socket, data string, read SegmentReader) (*segmentServer, error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	s := &segmentServer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if !logFile.MatchString(name) {
			http.Error(w, name+" is no file of the log", http.StatusNotFound)
			return
		}
		content, err := read(ctx, data, name)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				s.failure.CompareAndSwap(nil, &err)
			}
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	s.Handler, s.ReadHeaderTimeout = mux, stopTimeout
	go func() { _ = s.Serve(listener) }() // until it is closed
	return s, nil
}

// FetchSegment copies a file of the log from a socket into a file. It is the restore_command of scratch
// servers.
func FetchSegment(ctx context.Context, socket, name, file string) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://log/"+name, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", name, bytes.TrimSpace(content))
	}
	return os.WriteFile(file, content, 0o600)
}
