package releases

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestARedirectIsFollowed(t *testing.T) {
	objects := httptest.NewServer(serve(binary))
	t.Cleanup(objects.Close)
	host := server(t, checksums(binary), func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, objects.URL+"/object", http.StatusFound)
	})
	requireGot(t, host, t.TempDir())
}

func TestATransferThatBreaksOffIsTakenUpAgain(t *testing.T) {
	var sent atomic.Int64
	host := server(t, checksums(binary), func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1 << 20)
		breakOff(w, r, 1<<20)
	})
	requireGot(t, host, t.TempDir())
	assert.EqualValues(t, len(binary), sent.Load(), "bytes were sent twice")
}

func TestATransferThatStallsIsTakenUpAgain(t *testing.T) {
	host := server(t, checksums(binary), func(w http.ResponseWriter, r *http.Request) {
		breakOff(w, r, 2<<20)
		if r.Header.Get("Range") == "" {
			<-r.Context().Done() // until the other side loses patience
		}
	})
	requireGot(t, withoutPatience(host), t.TempDir())
}

func TestWhatAnInterruptedRunLeftIsTakenUp(t *testing.T) {
	dir := t.TempDir()
	ctx, interrupt := context.WithCancel(t.Context())
	host := server(t, checksums(binary), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			serve(binary)(w, r)
			return
		}
		breakOff(w, r, 3<<20)
		for size := int64(0); size < 3<<20; { // until it is on the disk
			if info, err := os.Stat(filepath.Join(dir, "hello-amd64.partial")); err == nil {
				size = info.Size()
			}
		}
		interrupt()
		<-r.Context().Done()
	})
	_, err := host.Get(ctx, hello, dir)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrUnavailable, "an interruption is no reason to compile")
	assert.NoFileExists(t, filepath.Join(dir, "hello-amd64"), "half a file is visible")
	requireGot(t, host, dir)
}

func TestLeftoversOfSomethingElseAreReplaced(t *testing.T) {
	var requests atomic.Int32
	withoutRanges := func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = w.Write(binary)
	}
	for name, leftover := range map[string][]byte{
		"shorter":            binary[:1<<20],
		"longer":             append(slices.Clone(binary), "and more"...),
		"of another release": []byte("of another release"),
	} {
		t.Run(name, func(t *testing.T) {
			for _, handler := range []http.HandlerFunc{serve(binary), withoutRanges} {
				dir := t.TempDir()
				require.NoError(t, os.WriteFile(filepath.Join(dir, "hello-amd64.partial"), leftover, 0o644))
				requests.Store(0)
				requireGot(t, server(t, checksums(binary), handler), dir)
				assert.LessOrEqual(t, requests.Load(), int32(1), "everything was sent twice")
			}
		})
	}
}

func TestAnInterruptionIsNoReasonToCompile(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	host := server(t, checksums(binary), func(_ http.ResponseWriter, r *http.Request) {
		interrupt()
		<-r.Context().Done()
	})
	for _, when := range []string{"before the file came", "before its checksum came"} {
		_, err := host.Get(ctx, hello, t.TempDir())
		require.ErrorIs(t, err, context.Canceled, when)
		require.NotErrorIs(t, err, ErrUnavailable, when)
	}
}

func TestAFileThatNeverArrivesIsAnErrorThatSaysWhatToDo(t *testing.T) {
	truncating := server(t, checksums(binary), func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" {
			breakOff(w, r, 1<<20)
			return
		}
		breakOff(w, r, 0)
	})
	stalling := withoutPatience(server(t, checksums(binary), func(w http.ResponseWriter, r *http.Request) {
		breakOff(w, r, 0)
		<-r.Context().Done()
	}))
	for message, host := range map[string]Host{
		"hello-amd64 stopped after 1048576 bytes: unexpected EOF: try again, which continues from there, " +
			"or compile instead with STATEFUL_K3S_RELEASES=off": truncating,
		"stopped after 0 bytes: nothing came for 100ms: try again": stalling,
	} {
		dir := t.TempDir()
		_, err := host.Get(t.Context(), hello, dir)
		require.ErrorContains(t, err, message)
		require.NotErrorIs(t, err, ErrUnavailable)
		assert.NoFileExists(t, filepath.Join(dir, "hello-amd64"))
	}
}
