package postgres

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"time"
)

// Segments returns a file of the log by its name, for the server with that data directory.
type Segments func(ctx context.Context, data, name string) ([]byte, error)

// logFile is the name of a segment, or of a timeline's history.
var logFile = regexp.MustCompile(`^([0-9A-F]{24}|[0-9A-F]{8}\.history)$`)

// serveLog serves files of the log on a socket, until it is closed.
func serveLog(ctx context.Context, socket, data string, segment Segments) (*http.Server, error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if !logFile.MatchString(name) {
			http.Error(w, name+" is no file of the log", http.StatusNotFound)
			return
		}
		content, err := segment(ctx, data, name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: stopTime}
	go func() { _ = server.Serve(listener) }() // until it is closed
	return server, nil
}

// GetSegment gets a file of the log from a socket into another file: it is the restore_command of throwaway
// servers.
func GetSegment(ctx context.Context, socket, name, file string) error {
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
