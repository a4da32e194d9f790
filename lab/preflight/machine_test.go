package preflight

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRootOfAContainerIsRefused(t *testing.T) {
	const docker = "Name:\tlab\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n"
	assert.EqualError(t, checkCapabilities(docker),
		"root lacks CAP_SYS_ADMIN here, as in an ordinary container: use a virtual machine or a "+
			"privileged container, or set KUBECONFIG to a cluster of your own")
	assert.ErrorContains(t, checkCapabilities("CapEff:\t0000000000200000\n"), "root lacks CAP_NET_ADMIN")
	assert.NoError(t, checkCapabilities("CapEff:\t000001ffffffffff\n"))
	assert.NoError(t, checkCapabilities(capabilities()))
}
