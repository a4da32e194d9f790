// Package progress shows the tasks in progress: on a terminal in one line that is rewritten in place,
// elsewhere in a line of the log every half a minute.
package progress

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// unseen is the time before a task shows.
	unseen = time.Second
	// silence is the time without output where there is no terminal. On a busy machine it takes a bit longer.
	silence = 25 * time.Second
)

// display has the line in place. All other output goes through it.
type display struct {
	out io.Writer
	// columns returns the width of the terminal, or 0 if there is none.
	columns func() int

	mutex   sync.Mutex
	tasks   []*task
	written time.Time
	drawn   bool
	held    int
}

type task struct {
	what  string
	how   func() string
	began time.Time
}

// current is the display of this process, or nil before Show. It is redrawn from the first task on.
var (
	current *display
	redraw  sync.Once
)

// Show shows tasks in a file, such as os.Stderr. Everything else must be written there through the writer.
// Call it once, before any task starts.
func Show(file *os.File) io.Writer {
	current = &display{out: file, columns: func() int { return columns(file) }, written: time.Now()}
	return current
}

// Start shows a task, such as "compiling k3s", until end is called. how returns its progress, such as "3 of
// 10 packages", at any time. It may be nil.
func Start(what string, how func() string) (end func()) {
	if current == nil {
		return func() {}
	}
	redraw.Do(func() {
		go func() {
			for now := range time.Tick(time.Second) {
				current.tick(now)
			}
		}()
	})
	return current.start(&task{what: what, how: how, began: time.Now()})
}

// Bytes returns a progress such as "12 of 70 MB". A whole of 0 is unknown.
func Bytes(have, whole int64) string {
	const mega = 1e6
	if whole < 1 {
		return fmt.Sprintf("%.0f MB", float64(have)/mega)
	}
	return fmt.Sprintf("%.0f of %.0f MB", float64(have)/mega, float64(whole)/mega)
}

// Hold leaves the line to another process, such as one that asks for a password, until release is called.
func Hold() (release func()) {
	if current == nil {
		return func() {}
	}
	current.hold(1)
	return func() { current.hold(-1) }
}

func (d *display) start(t *task) (end func()) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.tasks = append(d.tasks, t)
	return func() {
		d.mutex.Lock()
		defer d.mutex.Unlock()
		d.tasks = slices.DeleteFunc(d.tasks, func(other *task) bool { return other == t })
		if d.drawn {
			d.draw(time.Now())
		}
	}
}

func (d *display) hold(by int) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.erase()
	d.held += by
}

// Write writes whole lines above the line in place.
func (d *display) Write(lines []byte) (int, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	drawn := d.drawn
	d.erase()
	n, err := d.out.Write(lines)
	d.written = time.Now()
	if drawn {
		d.draw(d.written)
	}
	return n, err
}

// tick shows the tasks.
func (d *display) tick(now time.Time) {
	d.mutex.Lock()
	if d.columns() > 0 {
		d.draw(now)
		d.mutex.Unlock()
		return
	}
	var lines []string
	if now.Sub(d.written) >= silence {
		lines = d.lines(now)
	}
	d.mutex.Unlock()
	if len(lines) > 0 {
		slog.Info(strings.Join(lines, "; ")) // which comes back to Write
	}
}

func (d *display) draw(now time.Time) {
	if d.held > 0 {
		return
	}
	d.erase()
	line, columns := []rune(strings.Join(d.lines(now), " · ")), d.columns()
	if len(line) == 0 || columns == 0 {
		return
	}
	_, err := io.WriteString(d.out, string(line[:min(len(line), columns-1)]))
	d.drawn = err == nil
}

func (d *display) erase() {
	if d.drawn || d.held > 0 && d.columns() > 0 { // by this process, or by the one that has the line now
		_, _ = io.WriteString(d.out, "\r\x1b[K") // a failure shows in the next write
	}
	d.drawn = false
}

// lines returns a line for each task, the oldest first.
func (d *display) lines(now time.Time) (lines []string) {
	for _, t := range d.tasks {
		if took := now.Sub(t.began); took >= unseen {
			lines = append(lines, fmt.Sprintf("%s (%s)", t.describe(), took.Truncate(time.Second)))
		}
	}
	return lines
}

func (t *task) describe() string {
	if t.how == nil {
		return t.what
	}
	how, _, _ := strings.Cut(t.how(), "\n")
	if how == "" {
		return t.what
	}
	return t.what + ": " + how
}

// columns returns the width of a terminal, or 0 if the file is none, or cannot move its cursor.
func columns(file *os.File) int {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	switch {
	case err != nil || os.Getenv("TERM") == "" || os.Getenv("TERM") == "dumb":
		return 0
	case size.Col == 0:
		return 80
	default:
		return int(size.Col)
	}
}
