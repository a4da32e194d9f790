// Backup keeps copies of a Postgres database in a bucket of an S3 service. A copy counts as a backup when it
// was restored and found equal to the database it came from.
//
//	backup run             makes a backup, and then does what prune does
//	backup list            lists the backups
//	backup status          says in a line of JSON what the newest backup is, and how the last run ended
//	backup verify [NAME]   restores a backup and compares it with what was recorded of the database; by default the newest one, and the archive
//	backup restore [WHAT]  restores the database: latest is the newest backup of another server that has a table, end
//	                       all that another server archived on which the database has a table, and else it is a
//	                       time such as 2026-11-22T14:05:00Z, or the name of a backup or an archive, as list prints it
//	backup prune           deletes the backups that are not kept, and what broken runs left
//	backup metrics         serves Prometheus' metrics of the newest backup
//	backup server          runs the throwaway servers into which run, verify and restore restore, as the only
//	                       process of a container that sees SERVER_DIR and nothing worth knowing: code in a
//	                       database can do there what it likes
//	backup segment SOCKET NAME FILE
//	                       gets such a server a file of its log
//
// Settings, all in the environment:
//
//	URL, URL_FILE           address of the database, such as postgres://user:password@host/database, or the file that holds it
//	S3_ENDPOINT             address of the S3 service, such as https://s3.example.com
//	S3_REGION, S3_BUCKET    (us-east-1, backups)
//	S3_PREFIX               folder in the bucket
//	S3_ACCESS_KEY_FILE, S3_SECRET_KEY_FILE
//	                        files that hold the keys
//	S3_PATH_STYLE           whether the bucket's name stands in the path of addresses, instead of in the host's name (true)
//	S3_CA_FILE              PEM file with authorities to trust besides the system's, or those that come with the program (none)
//	SCRATCH_DIR             folder for dumps (the system's for temporary files)
//	SERVER_DIR              folder of throwaway servers, which the command server shares with the others
//	COMPRESSION_LEVEL       of zstd, 1 to 19 (3)
//	KEEP_DAILY, KEEP_WEEKLY, KEEP_MONTHLY
//	                        how many backups are kept (7, 4, 6)
//	AGE_RECIPIENT           public key of age to encrypt dumps to (none)
//	AGE_IDENTITY_FILE       file with the private key, with which verify and restore open them (none)
//	ARCHIVE_PASSPHRASE_FILE file with the passphrase that the archive is encrypted with (none)
//	RESTORE_FROM            what restore restores without WHAT
//	RESTORE_OVER            name of the database, if it may hold something (none)
//	RESTORE_REQUEST         any text that is the same as long as the same restore is asked for (none: each is another one)
//	TIMEOUT                 how long a command may take (1h)
//	RETRY                   how long run and restore begin anew after a failure that may pass, such as a restart of the database (10m)
//	TERMINATION_LOG         file that gets a line of JSON when run, verify and restore end (none)
//	PORT, METRICS_PORT      of metrics: GET /livez and GET /readyz (8080), GET /metrics (9090)
//
// Restore needs the URL of a superuser. It makes a new database beside that of the URL, compares it with what
// was recorded, and gives it the name in one transaction, in which it also remembers that in table restores
// of the database postgres: until then nothing has changed, and then the same RESTORE_REQUEST has nothing to
// do. It refuses a database that holds something, unless RESTORE_OVER names it. Then it makes a backup of it,
// and what is written after that is lost. It says before what it restores, and what it passed over.
//
// Latest and end are for what was lost with a server. They take nothing of the server that they restore into,
// nor anything when that was restored before, or holds more rows than what they found: what is meant then has
// a name.
package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
	"github.com/stateful-k3s/stateful-k3s/app/backup/s3"
	"github.com/stateful-k3s/stateful-k3s/app/internal/outcome"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
)

func main() {
	service.Main(func(ctx context.Context) error {
		err := commands().ExecuteContext(ctx)
		if failsAgain(err) {
			return service.Permanent(err)
		}
		return err
	})
}

func commands() *cobra.Command {
	root := &cobra.Command{Use: "backup", Short: "Backups of a Postgres database, proven by restoring them",
		SilenceUsage: true, SilenceErrors: true}
	add := func(use, short string, args cobra.PositionalArgs,
		do func(ctx context.Context, args []string) error) *cobra.Command {
		command := &cobra.Command{Use: use, Short: short, Args: args,
			RunE: func(cmd *cobra.Command, args []string) error {
				return do(cmd.Context(), args)
			}}
		root.AddCommand(command)
		return command
	}
	add("run", "Make a backup, and delete those that are not kept", cobra.NoArgs, reportingFailure(within(run)))
	add("list", "List the backups", cobra.NoArgs, within(list))
	add("status", "Say what the newest backup is, and how the last run ended", cobra.NoArgs, status)
	add("prune", "Delete the backups that are not kept, and what broken runs left", cobra.NoArgs, within(prune))
	add("restore [WHAT]", "Restore the database from a backup or the archive", cobra.MaximumNArgs(1),
		reportingFailure(within(restore)))
	add("metrics", "Serve metrics of the newest backup", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return serveMetrics(ctx)
		})
	add("server", "Run the throwaway servers of the other commands", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			return postgres.Serve(ctx, serverDir())
		})
	add("segment SOCKET NAME FILE", "Get a throwaway server a file of its log", cobra.ExactArgs(3),
		func(ctx context.Context, args []string) error {
			return postgres.GetSegment(ctx, args[0], args[1], args[2])
		})
	var v verification
	verify := add("verify [NAME]", "Restore a backup, the newest by default, and compare it",
		cobra.MaximumNArgs(1), reportingFailure(within(v.verify)))
	verify.Flags().BoolVar(&v.all, "all", false, "verify all backups")
	verify.Flags().BoolVar(&v.checksums, "checksums", false,
		"do not restore, but only read what is stored and compare its checksums")
	return root
}

// within gives a command the time that it may take.
func within(command func(ctx context.Context, args []string) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		var e environment
		timeout := e.Duration("TIMEOUT", "1h")
		if err := e.Err(); err != nil {
			return err
		}
		limited, cancel := context.WithTimeoutCause(ctx, timeout,
			fmt.Errorf("not done within %s (TIMEOUT)", timeout))
		defer cancel()
		err := command(limited, args)
		switch {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("told to stop: %w", err)
		case err != nil && limited.Err() != nil:
			return fmt.Errorf("%w: %w", context.Cause(limited), err)
		}
		return err
	}
}

// openStore needs the settings that the environment has, all of which are read by then.
func openStore(e *environment) (*s3.Store, error) {
	settings := e.Bucket()
	if err := e.Err(); err != nil {
		return nil, err
	}
	return s3.Open(settings)
}

// reportingFailure tells of a command's failure in the pod's status; main logs it.
func reportingFailure(command func(ctx context.Context, args []string) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		err := command(ctx, args)
		if err != nil {
			outcome.Failure(err).WriteTerminationMessage()
		}
		return err
	}
}

// reportSuccess tells of a command's success, in the log and in the pod's status, and which backup it has made, if
// it has.
func reportSuccess(said, made string) {
	slog.Info(said)
	success := outcome.Success(said)
	success.Backup = made
	success.WriteTerminationMessage()
}
