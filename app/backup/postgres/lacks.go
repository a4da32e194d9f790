package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// byUser is a condition, with the name of a catalog: its object is not the system's, an extension's, or made
// together with another one.
const byUser = ` AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
	SELECT FROM pg_depend WHERE classid = '%[1]s'::regclass AND objid = o.oid AND deptype IN ('e', 'i'))`

// lacks names what no backup holds: what pg_dump omits, or omits for a role that is not a superuser; what
// belongs to the server and not to the database, except the roles that the stack makes; and what only a
// superuser could restore.
var lacks = `
	SELECT format('subscription %I', subname) FROM pg_subscription
	WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND current_setting('is_superuser') = 'off'
	UNION ALL SELECT format('options of the user mapping of %s for server %I', quote_ident(usename), srvname)
	FROM pg_user_mappings WHERE umoptions IS NULL
	UNION ALL SELECT format('prepared transaction %L', gid)
	FROM pg_prepared_xacts WHERE database = current_database()
	UNION ALL SELECT format('replication slot %I', slot_name) FROM pg_replication_slots
	WHERE (database = current_database() OR slot_type = 'physical') AND slot_name !~ '^_cnpg_'
	UNION ALL SELECT format('rows of table %s, which extension %I does not say are to be dumped',
		o.oid::regclass, e.extname)
	FROM pg_class o JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = o.oid AND d.deptype = 'e'
	JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
	WHERE o.relkind = 'r' AND o.oid <> ALL (coalesce(e.extconfig, '{}')) AND pg_relation_size(o.oid) > 0
	UNION ALL SELECT format('database %I', datname) FROM pg_database
	WHERE datname NOT IN (current_database(), 'postgres', 'template0', 'template1')
	AND datname !~* '` + temporarySuffix + `'
	UNION ALL SELECT format('role %I, with its password, settings and memberships', rolname) FROM pg_roles r
	WHERE r.rolname !~ '^pg_' AND r.oid <> 10 AND NOT ` + madeByStack("r.oid") + `
	AND r.rolname NOT IN ('streaming_replica', 'cnpg_metrics_exporter')
	UNION ALL SELECT format('setting %s of %s in all databases', split_part(setting, '=', 1),
		coalesce('role ' || quote_ident(pg_get_userbyid(nullif(setrole, 0))), 'all roles'))
	FROM pg_db_role_setting s, unnest(setconfig) setting
	WHERE setdatabase = 0 AND pg_get_userbyid(setrole) NOT IN (current_user, 'reader')
	AND (setrole = 0 OR ` + madeByStack("setrole") + `)
	UNION ALL SELECT format('membership of role %I in %I', pg_get_userbyid(member), pg_get_userbyid(roleid))
	FROM pg_auth_members
	WHERE ` + madeByStack("member") + ` AND (pg_get_userbyid(member), pg_get_userbyid(roleid)) NOT IN
		((current_user, 'pg_read_all_data'), ('reader', 'pg_read_all_data'), ('exporter', 'pg_monitor'))
	UNION ALL SELECT format('grants of parameter %s', parname) FROM pg_parameter_acl
	UNION ALL SELECT format('function %s, which is restored by hand alone, by a superuser', o.oid::regprocedure)
	FROM pg_proc o JOIN pg_namespace n ON n.oid = o.pronamespace JOIN pg_language l ON l.oid = o.prolang
	WHERE (o.prokind <> 'a' AND (NOT l.lanpltrusted OR o.proleakproof OR o.prosupport <> 0)
		OR EXISTS (SELECT FROM pg_aggregate
			WHERE aggfnoid = o.oid AND 'internal'::regtype IN (aggtranstype, aggmtranstype))
		OR EXISTS (SELECT FROM unnest(o.proconfig) c JOIN pg_settings s ON s.name = split_part(c, '=', 1)
			WHERE s.context = 'superuser'))` + fmt.Sprintf(byUser, "pg_proc") + `
	UNION ALL SELECT format('type %s, which is restored by hand alone, by a superuser', o.oid::regtype)
	FROM pg_type o JOIN pg_namespace n ON n.oid = o.typnamespace
	WHERE o.typtype IN ('b', 'p') AND o.typcategory <> 'A'` + fmt.Sprintf(byUser, "pg_type") + `
	UNION ALL SELECT format('foreign table %s, which is restored by hand alone, by a superuser',
		o.ftrelid::regclass)
	FROM pg_foreign_table o JOIN pg_foreign_server s ON s.oid = o.ftserver
	JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
	WHERE w.fdwname = 'file_fdw' AND array_to_string(o.ftoptions, ',') ~ '(^|,)(filename|program)='
	UNION ALL SELECT format('foreign-data wrapper %I, which is restored by hand alone, by a superuser', fdwname)
	FROM pg_foreign_data_wrapper o, (VALUES ('')) n (nspname) WHERE true` +
	fmt.Sprintf(byUser, "pg_foreign_data_wrapper")

// madeByStack is a condition of a role's OID: the stack makes the role at every start of the server.
func madeByStack(role string) string {
	return `(` + role + ` IN (SELECT oid FROM pg_roles
			WHERE rolname IN (current_user, 'reader', 'restorer', 'exporter')
		UNION SELECT datdba FROM pg_database WHERE datname = current_database()))`
}

// Lacks names each thing of the database and its server that no backup holds.
func (s *Snapshot) Lacks(ctx context.Context) ([]string, error) {
	all, err := query(ctx, s.conn, pgx.RowTo[string], lacks)
	slices.Sort(all)
	return all, markPermanent(err)
}
