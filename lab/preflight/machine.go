package preflight

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

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
