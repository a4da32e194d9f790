package preflight

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// madeAfter is when the newest of the pinned modules was published: no clock that is right shows less.
var madeAfter = time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)

// checkClock finds clocks that are far behind; certificates would be refused as not valid yet.
func checkClock(now time.Time) error {
	if now.Before(madeAfter) {
		return fmt.Errorf("the clock says %s, which is before this lab was written: set it, for example with timedatectl set-ntp true", now.Format(time.DateTime))
	}
	return nil
}

// checkCapabilities finds out whether root may do here what root may do on a machine of its own.
func checkCapabilities(status string) error {
	for line := range strings.Lines(status) {
		mask, is := strings.CutPrefix(line, "CapEff:")
		if !is {
			continue
		}
		effective, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
		if err != nil {
			return fmt.Errorf("reading the capabilities of this process: %w", err)
		}
		for _, needed := range []struct {
			bit  int
			name string
		}{{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, {unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}} {
			if effective&(1<<needed.bit) == 0 {
				return fmt.Errorf("root lacks %s here, as in an ordinary container: use a virtual machine or a privileged container, or set KUBECONFIG to a cluster of your own", needed.name)
			}
		}
	}
	return nil
}

func capabilities() string {
	status, _ := os.ReadFile("/proc/self/status") // always there on Linux
	return string(status)
}
