// Package progress shows that what takes time goes on: on a terminal in one line that is rewritten in place,
// elsewhere in a line of the log each half a minute.
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
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	// unseen is how long a task goes on before it is shown.
	unseen = time.Second
	// silence is how long nothing is written where there is no terminal. With what a busy machine adds that
	// is less than half a minute.
	silence = 25 * time.Second
)

// display is the line in place, and what all else is written through.
type display struct {
	out io.Writer
	// columns is the width of the terminal; 0 where there is none.
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

// current is the display of this process; nil until Show. It is redrawn from the first task on.
var (
	current *display
	redraw  sync.Once
)

// Show has tasks shown in a file, such as os.Stderr. All else that this process writes there has to go
// through the writer. It is called once, before any task starts.
func Show(file *os.File) io.Writer {
	current = &display{out: file, columns: func() int { return columns(file) }, written: time.Now()}
	return current
}

// Start shows a task, such as "compiling k3s", until end is called. How far it is, such as "3 of 10
// packages", is asked while it is shown: the function may be called at any time, and nil if there is nothing
// to tell.
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

// Bytes says how much of the whole is there, such as "12 of 70 MB"; of a whole of less than 1 byte the size
// is not known.
func Bytes(have, whole int64) string {
	const mega = 1e6
	if whole < 1 {
		return fmt.Sprintf("%.0f MB", float64(have)/mega)
	}
	return fmt.Sprintf("%.0f of %.0f MB", float64(have)/mega, float64(whole)/mega)
}

// Hold leaves the terminal's line to another process, such as one that asks for a password, until release is
// called.
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

// Write writes whole lines, above the line in place.
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

// tick shows how far the tasks are.
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
	lines, columns := d.lines(now), d.columns()
	if len(lines) == 0 || columns == 0 {
		return
	}
	_, err := io.WriteString(d.out, fit(lines, columns))
	d.drawn = err == nil
}

func (d *display) erase() {
	if d.drawn || d.held > 0 && d.columns() > 0 { // of this process, or of the one that has the line now
		_, _ = io.WriteString(d.out, "\r\x1b[K") // if that fails, so does what is written next
	}
	d.drawn = false
}

// lines tell of each task that is no longer unseen.
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

// fit joins as many lines as the terminal is wide.
func fit(lines []string, columns int) string {
	for n := len(lines); n > 0; n-- {
		joined := strings.Join(lines[:n], " · ")
		if n < len(lines) {
			joined += fmt.Sprintf(" · and %d more", len(lines)-n)
		}
		if utf8.RuneCountInString(joined) < columns {
			return joined
		}
	}
	return string([]rune(lines[0])[:max(0, min(utf8.RuneCountInString(lines[0]), columns-1))])
}

// columns is the width of a terminal, and 0 if the file is none, or one that moves no cursor.
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
