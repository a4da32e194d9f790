package releases

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

// attempts limits the transfers in a row that bring nothing.
const attempts = 3

// download downloads what the file still lacks. It repeats transfers that break off, as long as they bring
// something.
func (h Host) download(ctx context.Context, address, partial string) (resumed bool, err error) {
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return false, err
	}
	defer file.Close()
	begin, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	var whole atomic.Int64
	defer progress.Start("downloading "+path.Base(address), func() string {
		have, err := os.Stat(partial)
		if err != nil {
			return ""
		}
		return progress.Bytes(have.Size(), whole.Load())
	})()
	for left := attempts; ; {
		before, err := file.Seek(0, io.SeekEnd)
		if err != nil {
			return false, err
		}
		err = h.transfer(ctx, address, file, before, &whole)
		if err == nil {
			return begin > 0, file.Close()
		}
		var local *os.PathError
		if ctx.Err() != nil || errors.As(err, &local) || errors.Is(err, ErrUnavailable) && before == begin {
			return false, cmp.Or(ctx.Err(), err)
		}
		after, seekErr := file.Seek(0, io.SeekEnd)
		if seekErr != nil {
			return false, seekErr
		}
		left--
		if after > before {
			left = attempts
		}
		if left == 0 {
			return false, fmt.Errorf("downloading %s stopped after %d bytes: %w: try again, which continues from "+
				"there, or compile instead with %s=%s", address, after, err, Setting, Off)
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(h.pause):
		}
	}
}

// transfer appends the rest to the file, or writes all of it if the server does not support ranges. It stores
// the size of the whole, if the server tells.
func (h Host) transfer(ctx context.Context, address string, file *os.File, have int64,
	whole *atomic.Int64) error {
	response, err := h.get(ctx, address, have)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	rest := strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have))
	switch {
	case response.StatusCode == http.StatusPartialContent && rest:
		whole.Store(have + response.ContentLength)
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable && have > 0:
		return nil // it may be complete: the checksum tells
	case response.StatusCode == http.StatusOK:
		whole.Store(response.ContentLength)
		if err := file.Truncate(0); err != nil {
			return err
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: %s", ErrUnavailable, response.Status)
	}
	_, err = io.Copy(file, response.Body)
	return err
}

// get requests the bytes from the offset on. It returns ErrUnavailable if the host cannot be reached.
func (h Host) get(ctx context.Context, address string, offset int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	response, err := h.client.Do(request)
	var said *url.Error
	if errors.As(err, &said) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, said.Err)
	}
	return response, err
}
