package main

import (
	"os"
	"strings"

	"filippo.io/age"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

// environment has the settings of backups, besides those of other apps.
type environment struct{ settings.Reader }

// serverDir is the folder in which the command server runs throwaway servers.
func serverDir() string { return os.Getenv("SERVER_DIR") }

func (e *environment) retention() manifest.Retention {
	const most = 10_000
	return manifest.Retention{
		Daily:   e.Number("KEEP_DAILY", 7, 0, most),
		Weekly:  e.Number("KEEP_WEEKLY", 4, 0, most),
		Monthly: e.Number("KEEP_MONTHLY", 6, 0, most),
	}
}

// recipient is whom dumps are encrypted to; nil if they are not.
func (e *environment) recipient() *age.X25519Recipient {
	text := os.Getenv("AGE_RECIPIENT")
	if text == "" {
		return nil
	}
	recipient, err := age.ParseX25519Recipient(text)
	if err != nil {
		e.Fault("AGE_RECIPIENT", "%v: it is the public key that age-keygen prints, such as age1…", err)
	}
	return recipient
}

// identities are the keys that open dumps; none if there are none.
func (e *environment) identities() []age.Identity {
	if os.Getenv("AGE_IDENTITY_FILE") == "" {
		return nil
	}
	identities, err := age.ParseIdentities(strings.NewReader(e.File("AGE_IDENTITY_FILE")))
	if err != nil {
		e.Fault("AGE_IDENTITY_FILE", "%v: it is the file that age-keygen writes", err)
	}
	return identities
}
