package preflight

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// newestModule is when the newest pinned module was published: a correct clock shows a later time.
var newestModule = time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)

// checkClock finds clocks that are far behind. They would make certificates invalid.
func checkClock(now time.Time) error {
	if now.Before(newestModule) {
		return fmt.Errorf("the clock says %s, which is before this lab was written: set it, for example with "+
			"timedatectl set-ntp true", now.Format(time.DateTime))
	}
	return nil
}

// checkCapabilities fails if root is as limited as in an ordinary container.
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
				return fmt.Errorf("root lacks %s here, as in an ordinary container: use a virtual machine or a "+
					"privileged container, or set KUBECONFIG to a cluster of your own", needed.name)
			}
		}
	}
	return nil
}

func capabilities() string {
	status, _ := os.ReadFile("/proc/self/status") // always there on Linux
	return string(status)
}
