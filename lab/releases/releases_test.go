package releases

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/patience"
)

var (
	hello = Asset{Repository: "example.com/greetings/hello", Tag: "v1.0.0+b1", Name: "hello-amd64",
		Checksums: []string{"sha256sum-amd64.txt"}}
	binary = func() []byte {
		content := make([]byte, 5<<20)
		rand.New(rand.NewSource(1)).Read(content)
		return content
	}()
)

const programPath = "/greetings/hello/releases/download/v1.0.0+b1/hello-amd64"

func checksums(content []byte) string {
	return fmt.Sprintf("%x  other\n%x  hello-amd64\n", sha256.Sum256([]byte("other")), sha256.Sum256(content))
}

// server has the release of hello; handler answers for the program itself.
func server(t *testing.T, sums string, handler http.HandlerFunc) Host {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/greetings/hello/releases/download/v1.0.0+b1/sha256sum-amd64.txt",
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, sums)
		})
	if handler != nil {
		mux.HandleFunc(programPath, handler)
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return newTestHost(s.URL)
}

// newTestHost returns a host that a busy machine does not make lose patience.
func newTestHost(mirror string) Host {
	host := newHost(mirror)
	host.client.Transport, host.pause = patience.Transport(time.Minute, time.Minute), time.Millisecond
	return host
}

// withoutPatience does not wait for a transfer that stalls.
func withoutPatience(host Host) Host {
	host.client.Transport = patience.Transport(time.Minute, 100*time.Millisecond)
	return host
}

func serve(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

// breakOff promises the whole and sends no more than the first bytes of the requested range.
func breakOff(w http.ResponseWriter, r *http.Request, bytes int) {
	var from int
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(binary)-1, len(binary)))
		w.Header().Set("Content-Length", strconv.Itoa(len(binary)-from))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(binary)))
	}
	_, _ = w.Write(binary[from:min(from+bytes, len(binary))])
	if err := http.NewResponseController(w).Flush(); err != nil {
		panic(err)
	}
}

func requireGot(t *testing.T, host Host, dir string) {
	t.Helper()
	got, err := host.Get(t.Context(), hello, dir)
	require.NoError(t, err)
	content, err := os.ReadFile(got)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(binary, content), "got other bytes")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "something other than the file is left")
}

func TestAFileOfAReleaseIsWhereGitHubHasIt(t *testing.T) {
	assert.Equal(t, "https://github.com/k3s-io/k3s/releases/download/v1.35.0+k3s1/k3s",
		newHost("").URL(Asset{Repository: "github.com/k3s-io/k3s", Tag: "v1.35.0+k3s1"}, "k3s"))
	requireGot(t, server(t, checksums(binary), serve(binary)), t.TempDir())
}

func TestAWrongChecksumIsAnErrorThatSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	_, err := server(t, checksums([]byte("what was published")), serve(binary)).Get(t.Context(), hello, dir)
	require.ErrorContains(t, err,
		fmt.Sprintf("hello-amd64 has the SHA-256 checksum %x, and", sha256.Sum256(binary)))
	require.ErrorContains(t, err,
		fmt.Sprintf("sha256sum-amd64.txt says %x: it was changed or damaged on its way, and is deleted",
			sha256.Sum256([]byte("what was published"))))
	require.NotErrorIs(t, err, ErrUnavailable)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestChecksumsThatLackTheFileAreAnError(t *testing.T) {
	_, err := server(t, "<html>Please log in</html>\n", serve(binary)).Get(t.Context(), hello, t.TempDir())
	require.ErrorContains(t, err,
		"sha256sum-amd64.txt has no checksum of hello-amd64, so that the file cannot be trusted")
	require.NotErrorIs(t, err, ErrUnavailable)
}

func TestWhatIsNotToBeHadIsUnavailable(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, refused.Close())
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	require.NoError(t, err)
	t.Cleanup(func() { silent.Close() })

	toSilent := newTestHost("http://" + silent.Addr().String())
	toSilent.client.Transport = patience.Transport(100*time.Millisecond, time.Minute)

	for name, host := range map[string]Host{
		"refused":    newTestHost("http://" + refused.Addr().String()),
		"silent":     toSilent,
		"unknown":    newTestHost("http://nowhere.invalid"),
		"no file":    server(t, checksums(binary), nil),
		"no release": newTestHost(server(t, "", nil).mirror + "/elsewhere"),
		"failing server": server(t, checksums(binary),
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }),
		"asked too often": server(t, checksums(binary),
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := host.Get(t.Context(), hello, t.TempDir())
			require.ErrorIs(t, err, ErrUnavailable)
		})
	}
	t.Run("no checksum", func(t *testing.T) {
		unsigned := hello
		unsigned.Checksums = nil
		_, err := server(t, "", serve(binary)).Get(t.Context(), unsigned, t.TempDir())
		require.ErrorIs(t, err, ErrUnavailable)
	})
}

func TestTheSettingNamesAMirrorOrIsOff(t *testing.T) {
	t.Setenv(Setting, "http://127.0.0.1:8000/")
	host, ok, err := FromEnvironment()
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, "http://127.0.0.1:8000"+programPath, host.URL(hello, hello.Name))

	t.Setenv(Setting, "off")
	_, ok, err = FromEnvironment()
	require.NoError(t, err)
	assert.False(t, ok)

	t.Setenv(Setting, "mirror.example.com")
	_, _, err = FromEnvironment()
	require.ErrorContains(t, err,
		`STATEFUL_K3S_RELEASES: "mirror.example.com" is neither a URL nor "off": `+
			"set it to a mirror's, for example https://mirror.example.com")
}
