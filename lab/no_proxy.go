package main

import (
	"errors"
	"os"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/cluster"
)

// bypassProxies makes this process, and everything that it starts, reach the lab without a proxy.
func bypassProxies() error {
	exceptions := cluster.Addresses()
	for _, variable := range []string{"NO_PROXY", "no_proxy"} {
		if own := os.Getenv(variable); own != "" {
			exceptions = append(exceptions, own)
		}
	}
	value := strings.Join(exceptions, ",")
	return errors.Join(os.Setenv("NO_PROXY", value), os.Setenv("no_proxy", value))
}
