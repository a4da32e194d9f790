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
		"tls: failed to verify certificate: x509: certificate has expired or is not yet valid": clock,
	} {
		err := advise(errors.New(said))
		assert.ErrorContains(t, err, said+"\n"+advice)
	}
	plain := errors.New("syntax error")
	assert.Equal(t, plain, advise(plain))
}
