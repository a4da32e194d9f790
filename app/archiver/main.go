// Archiver runs beside a Postgres server and archives it in a bucket, in the format of pgBackRest: a base
// backup of every day, and all of the write-ahead log. The server can be restored from that to any second.
//
//	archiver push PATH  stores a file of the log. It is the server's archive_command, in which pgBackRest
//	                    looks for its own name.
//	archiver run        makes base backups, and deletes expired ones. It deletes the archives of
//	                    earlier servers once this server's archive is as long, its databases have rows, and no
//	                    requested restore is pending.
//
// Settings, all in the environment and read again each time, with defaults in brackets:
//
//	PGDATA                   the server's data directory, which pg_controldata and pgbackrest read
//	PGHOST, PGPORT, PGUSER   the server's socket, and its superuser (libpq's variables)
//	S3_ENDPOINT              address of the S3 service, such as https://s3.example.com
//	S3_REGION, S3_BUCKET     (us-east-1, backups)
//	S3_PREFIX                folder in the bucket; the archive is in its folder wal
//	S3_ACCESS_KEY_FILE, S3_SECRET_KEY_FILE
//	                         files that hold the keys
//	S3_PATH_STYLE            whether the bucket is named in the path of URLs instead of the host name (true)
//	S3_CA_FILE               PEM file with authorities to trust in addition to the system's (none)
//	ARCHIVE_PASSPHRASE_FILE  file with a passphrase that encrypts the archive (none)
//	ARCHIVE_KEEP_DAYS        how many days the archive goes back (7)
//	ARCHIVE_LOOK_EVERY       how often it checks whether a base backup is due (1m)
//	ARCHIVE_QUEUE            how much log may wait on the server's volume while the service is away (128MiB);
//	                         more is dropped, and a new base backup follows
//	PGBACKREST_…             options of pgBackRest, which override what the settings above imply
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

type config struct {
	archive  *pgbackrest.Archive
	keepDays int
	interval time.Duration
	queue    string
}

func readConfig() (config, error) {
	var r settings.Reader
	c := config{
		archive:  pgbackrest.New(r.Bucket(), r.OptionalFile("ARCHIVE_PASSPHRASE_FILE")),
		keepDays: r.Number("ARCHIVE_KEEP_DAYS", 7, 1, 10_000),
		interval: r.Duration("ARCHIVE_LOOK_EVERY", "1m"),
		queue:    r.Text("ARCHIVE_QUEUE", "128MiB", ""),
	}
	return c, r.Err()
}

func main() {
	service.Main(func(ctx context.Context) error {
		return commands().ExecuteContext(ctx)
	})
}

func commands() *cobra.Command {
	root := &cobra.Command{Use: "archiver", Short: "An archive of a Postgres server, for any second of it",
		SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(
		&cobra.Command{Use: "push PATH", Short: "Store a file of the log", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return push(cmd.Context(), args[0])
			}},
		&cobra.Command{Use: "run", Short: "Make base backups, and delete old ones", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return run(cmd.Context())
			}},
	)
	return root
}

// push stores a file of the log.
func push(ctx context.Context, file string) error {
	c, err := readConfig()
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	control, err := readControlData(ctx)
	if err != nil {
		return err
	}
	if control.stopping { // the server waits for this, and pgBackRest would retry for most of a minute
		if err := c.archive.Ping(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("start pgbackrest: %w",
		c.archive.ExecPush(c.archive.StanzaName(control.identity()), file, c.queue))
}
