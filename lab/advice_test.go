package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestErrorsOfOtherProgramsGetAdvice(t *testing.T) {
	for said, advice := range map[string]string{
		"write /tmp/x: no space left on device":                                                     "a disk is full",
		`"Failed to start cAdvisor" err="inotify_init: too many open files"`:                        "the programs of this machine watch more files than it allows",
		`Get "https://example.org/mod": dial tcp: lookup example.org: no such host`:                 "the network, or a server on it, is away",
		"E: Could not connect to deb.example.org:80":                                                "the network, or a server on it, is away",
		"dial tcp 192.0.2.1:443: connect: connection refused":                                       "the network, or a server on it, is away",
		"tls: failed to verify certificate: x509: certificate has expired or is not yet valid: now": "this machine's clock may be wrong",
	} {
		err := advise(errors.New(said))
		assert.ErrorContains(t, err, said+"\n"+advice)
	}
	plain := errors.New("syntax error")
	assert.Equal(t, plain, advise(plain))
}
