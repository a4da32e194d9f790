package progress

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const erase = "\r\x1b[K"

func newDisplay(columns int) (d *display, written *bytes.Buffer, begin time.Time) {
	written, begin = &bytes.Buffer{}, time.Now()
	return &display{out: written, columns: func() int { return columns }, written: begin}, written, begin
}

// taken returns what was written since the last call.
func taken(from *bytes.Buffer) string {
	defer from.Reset()
	return from.String()
}

func TestOneLineIsRewrittenInPlace(t *testing.T) {
	d, written, begin := newDisplay(80)
	how := ""
	end := d.start(&task{"compiling k3s", func() string { return how }, begin})
	d.tick(begin.Add(500 * time.Millisecond))
	assert.Empty(t, taken(written), "a task that ends immediately is not shown")
	d.tick(begin.Add(time.Second))
	assert.Equal(t, "compiling k3s (1s)", taken(written))
	how = "3 of 10 packages\nand more"
	d.tick(begin.Add(65 * time.Second))
	assert.Equal(t, erase+"compiling k3s: 3 of 10 packages (1m5s)", taken(written))

	_, err := d.Write([]byte("compiled runc\n"))
	assert.NoError(t, err)
	assert.True(t, strings.HasPrefix(taken(written), erase+"compiled runc\n"))
	d.tick(begin.Add(66 * time.Second))
	taken(written)

	endOther := d.start(&task{"waiting", nil, begin})
	d.tick(begin.Add(67 * time.Second))
	assert.Equal(t, erase+"compiling k3s: 3 of 10 packages (1m7s) · waiting (1m7s)", taken(written))
	endOther()
	end()
	assert.True(t, strings.HasSuffix(written.String(), erase), "the line is gone at the end: %q", written)
}

func TestAnotherProcessHasTheLine(t *testing.T) {
	d, written, begin := newDisplay(80)
	d.start(&task{"compiling k3s", nil, begin})
	d.tick(begin.Add(time.Second))
	taken(written)
	d.hold(1)
	assert.Equal(t, erase, taken(written))
	d.tick(begin.Add(2 * time.Second))
	assert.Empty(t, taken(written))
	_, err := d.Write([]byte("compiled runc\n"))
	assert.NoError(t, err)
	assert.Equal(t, erase+"compiled runc\n", taken(written), "the other's line is not written into")
	d.hold(-1)
	d.tick(begin.Add(3 * time.Second))
	assert.Contains(t, written.String(), "compiling k3s (3s)")
}

func TestTheLineIsNoLongerThanTheTerminalIsWide(t *testing.T) {
	d, written, begin := newDisplay(10)
	d.start(&task{"compiling k3s", nil, begin})
	d.tick(begin.Add(time.Second))
	assert.Equal(t, "compiling", taken(written))
}

func TestWithoutATerminalNothingIsSilentForHalfAMinute(t *testing.T) {
	d, written, begin := newDisplay(0)
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(d,
		&slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.MessageKey {
				return a
			}
			return slog.Attr{}
		}})))
	d.tick(begin.Add(time.Hour))
	assert.Empty(t, taken(written), "there is nothing to tell")

	d.start(&task{"compiling k3s", func() string { return "3 of 10 packages" }, begin})
	d.start(&task{"waiting", nil, begin})
	d.tick(begin.Add(silence - time.Second))
	assert.Empty(t, taken(written))
	d.tick(begin.Add(silence))
	assert.Equal(t, "msg=\"compiling k3s: 3 of 10 packages (25s); waiting (25s)\"\n", taken(written))
	d.tick(d.written.Add(silence - time.Second))
	assert.Empty(t, taken(written), "a line was written just now")
	d.tick(d.written.Add(silence))
	assert.NotEmpty(t, taken(written))
}
