package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOnlyTheWordItselfConfirms(t *testing.T) {
	for answer, confirmed := range map[string]bool{
		"dev\n": true, " dev \r\n": true, "dev": true,
		"": false, "\n": false, "y\n": false, "yes\n": false, "Dev\n": false, "dev2\n": false, "de\nv\n": false, "\ndev\n": false,
	} {
		assert.Equal(t, confirmed, confirm(strings.NewReader(answer), "the lab dev", "dev"), "%q", answer)
	}
}
