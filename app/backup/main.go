// Backup backs up a Postgres database to a bucket of an S3 service. A dump counts as a backup once it was
// restored and found equal to the database.
//
//	backup run             makes a backup, and then prunes
//	backup prepare-upgrade makes the database one that pg_upgrade takes, as a superuser, and then a backup
//	backup list            lists the backups, and which times the archive covers
//	backup status          prints the newest backup and how the last run ended, as a line of JSON
//	backup verify [NAME]   restores a backup, by default the newest, and compares it with what was recorded of
//	                       the database. Without NAME it also verifies the archive.
//	backup restore [WHAT]  restores the database from: latest, the newest backup of another server that has a
//	                       table; end, everything archived by another server where the database has a table; a
//	                       time such as 2026-11-22T14:05:00Z; or a backup or archive by its name in list
//	backup prune           deletes expired backups, and what interrupted runs left
//	backup metrics         serves Prometheus metrics of the newest backup
//	backup server          runs the scratch servers that run, verify and restore restore into. It must be the
//	                       only process of a container that sees SERVER_DIR and nothing worth knowing, since
//	                       code in a database can do anything in it.
//	backup move-out        dumps the database in OLD_VOLUME into VOLUME, if that has no database yet, with
//	                       Postgres of the old version
//	backup move-in         restores that dump in VOLUME, compares, and analyzes, with Postgres of the new
//	                       version
//	backup segment SOCKET NAME FILE
//	                       fetches a file of the log for such a server
//
// Settings, all in the environment, with defaults in brackets:
//
//	URL, URL_FILE           postgres://user:password@host/database, or a file that holds it
//	S3_ENDPOINT             address of the S3 service, such as https://s3.example.com
//	S3_REGION, S3_BUCKET    (us-east-1, backups)
//	S3_PREFIX               folder in the bucket
//	S3_ACCESS_KEY_FILE, S3_SECRET_KEY_FILE
//	                        files that hold the keys
//	S3_PATH_STYLE           whether the bucket is named in the path of URLs instead of the host name (true)
//	S3_CA_FILE              PEM file with authorities to trust in addition to the public ones (none)
//	SCRATCH_DIR             folder for dumps (the system's for temporary files)
//	SERVER_DIR              folder of scratch servers, which the command server shares with the others
//	COMPRESSION_LEVEL       of zstd, 1 to 19 (3)
//	KEEP_DAILY, KEEP_WEEKLY, KEEP_MONTHLY
//	                        how many backups are kept (7, 4, 6)
//	AGE_RECIPIENT           public key of age to encrypt dumps to (none)
//	AGE_IDENTITY_FILE       file with the private key that verify and restore open them with (none)
//	ARCHIVE_PASSPHRASE_FILE file with the passphrase that encrypts the archive (none)
//	RESTORE_FROM            what restore restores without WHAT
//	RESTORE_OVER            name of the database, if it may hold something (none)
//	RECOVERED_ADDRESS       host:port of a server that has the database as it was, with the logins and the
//	                        authority of the URL; restore reads end and times from there, and not from the
//	                        archive (none)
//	RESTORE_REQUEST         identifies a request, however often it is tried (none: each restore is a new one)
//	TIMEOUT                 how long a command may take (1h)
//	RETRY                   how long run and restore retry after a transient failure, such as a restart of the
//	                        database (10m)
//	HEARTBEAT_URL_FILE      file with an address that run asks for after a backup, and for /fail below it
//	                        after a failure (none)
//	OLD_VOLUME, VOLUME      volumes that a move leads from and to; each has the folder pgdata
//	CONFIG_FILE, SOCKET_DIR the servers' configuration, and a folder for their socket
//	DATABASE                name of the database that moves
//	SCHEDULE_INTERVAL       longest time between two scheduled backups, for a metric (no metric)
//	TERMINATION_LOG         file for a line of JSON that says how run, verify or restore ended (none)
//	PORT, METRICS_PORT      of metrics: GET /livez and GET /readyz (8080), GET /metrics (9090)
//
// Restore needs the URL of a superuser. It restores into a new database beside the URL's, compares it with
// what was recorded, and renames it in one transaction. That also records the restore in the table restores
// of the database postgres, so that the same RESTORE_REQUEST does nothing more. Until then nothing has
// changed. It refuses a database that holds something, unless RESTORE_OVER names it, or an app has migrated
// it and not written a row. In both cases it backs the database up first; later writes are lost. It logs what
// it restores, and what it skipped.
//
// Latest and end bring back what was lost with a server. They take no backup or archive of the server that
// they restore into, and refuse if it was restored before, or holds more rows than they found: then ask by
// name.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/stateful-k3s/stateful-k3s/app/backup/postgres"
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

// action is what a command does.
type action func(ctx context.Context, args []string) error

func commands() *cobra.Command {
	root := &cobra.Command{Use: "backup", Short: "Backups of a Postgres database, proven by restoring them",
		SilenceUsage: true, SilenceErrors: true}
	add := func(use, short string, args cobra.PositionalArgs, do action) *cobra.Command {
		command := &cobra.Command{Use: use, Short: short, Args: args,
			RunE: func(cmd *cobra.Command, args []string) error {
				return do(cmd.Context(), args)
			}}
		root.AddCommand(command)
		return command
	}
	add("run", "Make a backup, and delete expired ones", cobra.NoArgs, reportingFailure(limited(run)))
	add("prepare-upgrade", "Make the database one that pg_upgrade takes, and a backup", cobra.NoArgs,
		reportingFailure(limited(prepareUpgrade)))
	add("list", "List the backups", cobra.NoArgs, limited(list))
	add("status", "Print the newest backup, and how the last run ended", cobra.NoArgs, configured(status))
	add("prune", "Delete expired backups, and what interrupted runs left", cobra.NoArgs, limited(prune))
	add("restore [WHAT]", "Restore the database from a backup or the archive", cobra.MaximumNArgs(1),
		reportingFailure(limited(restore)))
	add("metrics", "Serve metrics of the newest backup", cobra.NoArgs, configured(serveMetrics))
	add("server", "Run the scratch servers of the other commands", cobra.NoArgs,
		func(ctx context.Context, _ []string) error { return postgres.Serve(ctx, os.Getenv("SERVER_DIR")) })
	add("segment SOCKET NAME FILE", "Fetch a file of the log for a scratch server", cobra.ExactArgs(3),
		func(ctx context.Context, args []string) error {
			return postgres.FetchSegment(ctx, args[0], args[1], args[2])
		})
	add("move-out", "Dump a database of an older major version of Postgres", cobra.NoArgs,
		reportingFailure(moveOut))
	add("move-in", "Restore what move-out has dumped", cobra.NoArgs, reportingFailure(moveIn))
	var v verification
	verify := add("verify [NAME]", "Restore a backup, the newest by default, and compare it",
		cobra.MaximumNArgs(1), reportingFailure(limited(v.verify)))
	verify.Flags().BoolVar(&v.all, "all", false, "verify all backups")
	verify.Flags().BoolVar(&v.checksums, "checksums", false,
		"do not restore, but only read what is stored and compare its checksums")
	return root
}

// configured reads the settings for a command.
func configured(do func(ctx context.Context, c config, args []string) error) action {
	return func(ctx context.Context, args []string) error {
		c, err := readConfig()
		if err != nil {
			return fmt.Errorf("read the settings: %w", err)
		}
		return do(ctx, c, args)
	}
}

// limited also limits its time.
func limited(do func(ctx context.Context, c config, args []string) error) action {
	return configured(func(ctx context.Context, c config, args []string) error {
		timed, cancel := context.WithTimeoutCause(ctx, c.timeout,
			fmt.Errorf("not done within %s (TIMEOUT)", c.timeout))
		defer cancel()
		err := do(timed, c, args)
		switch {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("told to stop: %w", err)
		case err != nil && timed.Err() != nil:
			return fmt.Errorf("%w: %w", context.Cause(timed), err)
		}
		return err
	})
}

// reportingFailure also writes a failure to the pod's status; main logs it.
func reportingFailure(do action) action {
	return func(ctx context.Context, args []string) error {
		err := do(ctx, args)
		if err != nil {
			outcome.Failure(err).WriteTerminationMessage()
		}
		return err
	}
}

// reportSuccess logs what a command did and writes it to the pod's status, with the name of the backup that
// it made, if any.
func reportSuccess(message, backup string) {
	slog.Info(message)
	success := outcome.Success(message)
	success.Backup = backup
	success.WriteTerminationMessage()
}
