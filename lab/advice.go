package main

import (
	"fmt"
	"regexp"
	"strings"
)

// advise adds what to do to errors of other programs.
func advise(err error) error {
	said := inLab.ReplaceAllString(err.Error(), "")
	for _, known := range []struct {
		signs  []string
		advice string
	}{
		{[]string{"no space left on device", "disk quota exceeded"},
			"a disk is full: free some space (make lab-delete LAB=… deletes a lab that is not needed), and run " +
				"the command again; it continues where it stopped"},
		{[]string{"inotify_init: too many open files"},
			"the programs of this machine watch more files than it allows: stop a lab that is not needed with " +
				"make lab-down LAB=…, or allow more with sysctl fs.inotify.max_user_instances=1024"},
		{[]string{"certificate has expired or is not yet valid"},
			"this machine's clock may be wrong: compare it with date, set it, for example with " +
				"timedatectl set-ntp true, and run the command again"},
		{[]string{"no such host", "Temporary failure resolving", "network is unreachable", "connection refused",
			"i/o timeout", "TLS handshake timeout", "Could not connect to", "proxyconnect"},
			"the network, or a server on it, is away: check the connection and, behind a proxy, HTTPS_PROXY and " +
				"go env GOPROXY, and run the command again; it continues where it stopped"},
	} {
		for _, sign := range known.signs {
			if strings.Contains(said, sign) {
				return fmt.Errorf("%w\n%s", err, known.advice)
			}
		}
	}
	return err
}

// inLab matches failed connections to the lab's own servers. The log of a k3s that ended is full of them.
var inLab = regexp.MustCompile(`dial tcp (127\.0\.0\.1|\[::1\]|10\.231\.\d+\.\d+):\d+: \S+( \S+)?`)
