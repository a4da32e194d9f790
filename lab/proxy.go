package main

import (
	"os"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/cluster"
)

// exemptLab has this process, and all that it starts, ask no proxy for what is the lab's. The user's own
// exceptions stay.
func exemptLab() error {
	exceptions := cluster.Addresses()
	for _, variable := range []string{"NO_PROXY", "no_proxy"} {
		if own := os.Getenv(variable); own != "" {
			exceptions = append(exceptions, own)
		}
	}
	for _, variable := range []string{"NO_PROXY", "no_proxy"} {
		if err := os.Setenv(variable, strings.Join(exceptions, ",")); err != nil {
			return err
		}
	}
	return nil
}
