package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestErrorsOfOtherProgramsGetAdvice(t *testing.T) {
	const (
		away    = "the network, or a server on it, is away"
		clock   = "this machine's clock may be wrong"
		watches = "the programs of this machine watch more files"
	)
	for said, advice := range map[string]string{
		"write /tmp/x: no space left on device":                                                "a disk is full",
		`"Failed to start cAdvisor" err="inotify_init: too many open files"`:                   watches,
		`Get "https://example.org/mod": dial tcp: lookup example.org: no such host`:            away,
		"E: Could not connect to deb.example.org:80":                                           away,
		"dial tcp 192.0.2.1:443: connect: connection refused":                                  away,
		"proxyconnect tcp: dial tcp 127.0.0.1:3128: connect: connection refused":               away,
		"tls: failed to verify certificate: x509: certificate has expired or is not yet valid": clock,
	} {
		err := advise(errors.New(said))
		assert.ErrorContains(t, err, said+"\n"+advice)
	}
	for _, said := range []string{
		"syntax error",
		"dev-0 ended; the end of its log:\n" +
			`Get "https://127.0.0.1:6444/readyz": dial tcp 127.0.0.1:6444: connect: connection refused`,
		"the lab's node does not reach its registry: dial tcp 10.231.188.1:5000: i/o timeout: a firewall",
	} {
		plain := errors.New(said)
		assert.Equal(t, plain, advise(plain))
	}
}
