package cloudnativepg

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// fields are a part of an object.
type fields = map[string]any

// clusterSpec returns the spec of the Cluster.
// Source: https://cloudnative-pg.io/documentation/1.30/cloudnative-pg.v1/
func clusterSpec(args Args, names names, pods kube.Pods) (fields, error) {
	postgresql, err := postgresSpec(args)
	if err != nil {
		return nil, err
	}
	labels := kube.PartOf()
	maps.Copy(labels, pods.Labels)
	inherited := fields{"labels": labels}
	if scrape := args.Namespace.ScrapeAnnotations(server.MetricsPort); scrape != nil {
		inherited["annotations"] = scrape
	}
	spec := fields{
		"instances":             args.Instances,
		"imageName":             args.Image,
		"postgresUID":           server.User,
		"postgresGID":           server.User,
		"enableSuperuserAccess": false,
		"inheritedMetadata":     inherited,
		"bootstrap":             fields{"initdb": birth(args, names)},
		"certificates":          fields{"serverCASecret": names.certificate, "serverTLSSecret": names.certificate},
		"managed": fields{
			"roles":    roles(names),
			"services": fields{"disabledDefaultServices": []string{"ro", "r"}},
		},
		"postgresql": postgresql,
		"affinity": fields{"enablePodAntiAffinity": true, "podAntiAffinityType": "preferred",
			"topologyKey": "kubernetes.io/hostname"},
		"resources": fields{
			"requests": fields{"cpu": "100m", "memory": args.Memory, "ephemeral-storage": "64Mi"},
			"limits":   fields{"cpu": "2", "memory": args.Memory, "ephemeral-storage": "512Mi"},
		},
		"storage":             fields{"storageClass": args.StorageClass, "size": args.StorageSize},
		"primaryUpdateMethod": "switchover",
		// A primary that is cut off would serve open sessions for as long as it waits for them.
		"smartShutdownTimeout": 1,
		"stopDelay":            120,
		"switchoverDelay":      60,
		// A new primary waits until the lease of a lost one has run out.
		"primaryLease": fields{"leaseDurationSeconds": 6, "renewDeadlineSeconds": 4, "retryPeriodSeconds": 1},
	}
	if secrets := args.Namespace.PullSecrets(); len(secrets) > 0 {
		spec["imagePullSecrets"] = secrets
	}
	return spec, nil
}

// birth makes the database. Roles.sql does the same for the other engine at each start.
func birth(args Args, names names) fields {
	return fields{
		"database": args.Database, "owner": args.Database,
		"secret":   fields{"name": names.roleSecret("owner")},
		"encoding": "UTF8", "localeProvider": "builtin", "builtinLocale": "C.UTF-8", "locale": "C.UTF-8",
		"dataChecksums": true,
		"postInitSQL": []string{
			"CREATE ROLE " + server.ReaderRole + " LOGIN",
			"CREATE ROLE " + server.RestorerRole + " LOGIN",
			"CREATE ROLE " + server.ExporterRole, // dumps of the other engine name it
			// The operator's roles, which it would make later.
			"CREATE ROLE streaming_replica LOGIN REPLICATION",
			"CREATE ROLE cnpg_metrics_exporter LOGIN",
			// It connects to the database, whose dumps must not name it: the other engine has no such role.
			fmt.Sprintf("GRANT %s TO cnpg_metrics_exporter", server.ExporterRole),
			"ALTER ROLE " + server.ReaderRole + " SET default_transaction_read_only = on",
			"REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC",
			// Standbys that follow a new primary log in there.
			"GRANT CONNECT ON DATABASE postgres TO streaming_replica, cnpg_metrics_exporter",
		},
		"postInitApplicationSQL": []string{
			fmt.Sprintf("REVOKE ALL ON DATABASE %q FROM PUBLIC", args.Database),
			fmt.Sprintf("GRANT CONNECT ON DATABASE %q TO %s, %s", args.Database, server.ReaderRole,
				server.ExporterRole),
		},
	}
}

func roles(names names) []fields {
	secret := func(role string) fields { return fields{"name": names.roleSecret(role)} }
	return []fields{
		{"name": server.ReaderRole, "ensure": "present", "login": true, "bypassrls": true,
			"inRoles": []string{"pg_read_all_data"}, "passwordSecret": secret(server.ReaderRole)},
		{"name": server.RestorerRole, "ensure": "present", "login": true, "superuser": true,
			"passwordSecret": secret(server.RestorerRole)},
	}
}

func postgresSpec(args Args) (fields, error) {
	parameters, err := args.Sized()
	if err != nil {
		return nil, err
	}
	maps.Copy(parameters, statefulset.Parameters{
		"wal_level": "replica",
		// CloudNativePG's default of 512MB is half of a small volume. Slots keep what standbys still need.
		"wal_keep_size":               "64MB",
		"max_slot_wal_keep_size":      parameters["max_wal_size"],
		"wal_retrieve_retry_interval": "500ms",
	})
	if timeout := args.ArchiveTimeout; timeout > 0 {
		parameters["archive_timeout"] = fmt.Sprintf("%ds", int(timeout.Seconds()))
	}
	maps.Copy(parameters, args.Parameters)
	spec := fields{
		"parameters": map[string]string(parameters),
		"pg_hba": []string{
			"hostssl all postgres all reject",
			"hostnossl all all all reject",
			"hostssl all all all scram-sha-256",
		},
	}
	if args.Instances > 1 {
		// A commit is acknowledged when a standby has it, and only a standby that has it may take over.
		spec["synchronous"] = fields{"method": "any", "number": 1, "dataDurability": "required",
			"failoverQuorum": true}
	}
	return spec, nil
}

// CheckParameters refuses parameters that are the operator's.
func CheckParameters(parameters statefulset.Parameters) error {
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if slices.Contains(fixed, name) || strings.HasPrefix(name, "cnpg.") {
			return fmt.Errorf("%s is CloudNativePG's to set", name)
		}
	}
	return nil
}

// fixed are the parameters that the operator refuses. Package statefulset refuses some for every engine.
// Source: https://cloudnative-pg.io/documentation/1.30/postgresql_conf/#fixed-parameters
var fixed = strings.Fields(`
	allow_alter_system allow_system_table_mods archive_cleanup_command bonjour bonjour_name cluster_name
	data_sync_retry event_source external_pid_file full_page_writes hot_standby huge_pages ident_file
	jit_provider log_directory log_file_mode log_filename log_rotation_age log_rotation_size
	log_truncate_on_rotation primary_conninfo primary_slot_name promote_trigger_file recovery_end_command
	recovery_min_apply_delay recovery_target recovery_target_action recovery_target_inclusive
	recovery_target_lsn recovery_target_name recovery_target_time recovery_target_timeline
	recovery_target_xid restart_after_crash restore_command shared_preload_libraries ssl_ca_file ssl_ciphers
	ssl_crl_file ssl_dh_params_file ssl_ecdh_curve ssl_max_protocol_version ssl_passphrase_command
	ssl_passphrase_command_supports_reload ssl_prefer_server_ciphers stats_temp_directory
	synchronous_standby_names syslog_facility syslog_ident syslog_sequence_numbers syslog_split_messages
	unix_socket_group unix_socket_permissions wal_log_hints`)
