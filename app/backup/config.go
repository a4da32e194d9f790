package main

import (
	"strings"
	"time"

	"filippo.io/age"

	"github.com/stateful-k3s/stateful-k3s/app/backup/heartbeat"
	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

// config is what the environment says, for all commands but server and segment.
type config struct {
	// database returns the URL of the database. Its password can change.
	database   func() (string, error)
	bucket     settings.Bucket
	ports      settings.Ports
	store      *s3.Store
	archive    *pgbackrest.Archive
	scratchDir string
	serverDir  string
	level      int // of compression
	// recipient is the key that dumps are encrypted to; nil if they are not.
	recipient *age.X25519Recipient
	// identities open encrypted dumps.
	identities []age.Identity
	retention  manifest.Retention
	restore    restoreSettings
	heartbeat  heartbeat.Heartbeat
	timeout    time.Duration
	retry      time.Duration
	// interval is the longest time between two scheduled backups; 0 if it is not known.
	interval time.Duration
}

type restoreSettings struct {
	from, over, request string
	// recovered is the host:port of a server that has the database as it was; "" for none.
	recovered string
}

func readConfig() (config, error) {
	const most = 10_000
	var r settings.Reader
	bucket := r.Bucket()
	c := config{
		database:   r.Database(),
		bucket:     bucket,
		ports:      r.Ports(),
		archive:    pgbackrest.New(bucket, r.OptionalFile("ARCHIVE_PASSPHRASE_FILE")),
		scratchDir: r.Optional("SCRATCH_DIR"),
		serverDir:  r.Optional("SERVER_DIR"),
		level:      r.Number("COMPRESSION_LEVEL", 3, 1, 19),
		recipient:  recipient(&r),
		identities: identities(&r),
		retention: manifest.Retention{
			Daily:   r.Number("KEEP_DAILY", 7, 0, most),
			Weekly:  r.Number("KEEP_WEEKLY", 4, 0, most),
			Monthly: r.Number("KEEP_MONTHLY", 6, 0, most),
		},
		restore: restoreSettings{
			from: r.Optional("RESTORE_FROM"), over: r.Optional("RESTORE_OVER"),
			request: r.Optional("RESTORE_REQUEST"), recovered: r.Optional("RECOVERED_ADDRESS"),
		},
		heartbeat: heartbeat.Read(&r),
		timeout:   r.Duration("TIMEOUT", "1h"),
		retry:     r.Duration("RETRY", "10m"),

		interval: r.Duration("SCHEDULE_INTERVAL", "0s"),
	}
	if err := r.Err(); err != nil {
		return c, err
	}
	var err error
	c.store, err = s3.Open(bucket)
	return c, err
}

func recipient(r *settings.Reader) *age.X25519Recipient {
	text := r.Optional("AGE_RECIPIENT")
	if text == "" {
		return nil
	}
	recipient, err := age.ParseX25519Recipient(text)
	if err != nil {
		r.Fault("AGE_RECIPIENT", "%v: it is the public key that age-keygen prints, such as age1…", err)
	}
	return recipient
}

func identities(r *settings.Reader) []age.Identity {
	if r.Optional("AGE_IDENTITY_FILE") == "" {
		return nil
	}
	identities, err := age.ParseIdentities(strings.NewReader(r.File("AGE_IDENTITY_FILE")))
	if err != nil {
		r.Fault("AGE_IDENTITY_FILE", "%v: it is the file that age-keygen writes", err)
	}
	return identities
}
