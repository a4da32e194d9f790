// Archiver runs beside a Postgres server and keeps an archive of it, from which the server can be brought
// back to any second: a base backup of every day, and all of the write-ahead log. They are in a bucket, in
// the format of pgBackRest.
//
//	archiver push PATH   stores a file of the log: it is the server's archive_command, in which pgBackRest looks for its name
//	archiver run         makes base backups, and deletes what is older than the archive shall go back; of earlier
//	                     servers, when this one's archive goes back as far, its databases hold rows, and no restore
//	                     was asked for that is not done
//
// Settings, all in the environment and read anew each time:
//
//	PGDATA                   the server's data directory, which pg_controldata and pgbackrest read
//	PGHOST, PGPORT, PGUSER   the server's socket, and its superuser (those of libpq)
//	S3_ENDPOINT              address of the S3 service, such as https://s3.example.com
//	S3_REGION, S3_BUCKET     (us-east-1, backups)
//	S3_PREFIX                folder in the bucket; the archive is in its folder wal
//	S3_ACCESS_KEY_FILE, S3_SECRET_KEY_FILE
//	                         files that hold the keys
//	S3_PATH_STYLE            whether the bucket's name stands in the path of addresses, instead of in the host's name (true)
//	S3_CA_FILE               PEM file with authorities to trust besides the system's (none)
//	ARCHIVE_PASSPHRASE_FILE  file with a passphrase that the archive is encrypted with (none)
//	ARCHIVE_KEEP_DAYS        how many days the archive goes back (7)
//	PGBACKREST_…             options of pgBackRest, which count more than those that follow from all this
//	ARCHIVE_LOOK_EVERY       how soon it is found that a base backup has to be made (1m)
//	ARCHIVE_QUEUE            how much of the log may wait on the server's volume while the service is away (128MiB); what comes
//	                         then is dropped, and there is a new base backup afterwards
package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
)

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
