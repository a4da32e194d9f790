package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// cluster17 has data of PostgreSQL 17, and the change on top.
func cluster17(image string, change map[string]any) map[string]any {
	object := map[string]any{
		"spec": map[string]any{"imageName": image},
		"status": map[string]any{"readyInstances": 3,
			"pgDataImageInfo": map[string]any{"majorVersion": 17}},
	}
	for part, fields := range change {
		for name, value := range fields.(map[string]any) {
			object[part].(map[string]any)[name] = value
		}
	}
	return object
}

func TestAClusterKeepsItsVersionUntilAsked(t *testing.T) {
	const last = "postgres:17"
	for name, test := range map[string]struct {
		there        map[string]any
		image, wants string
	}{
		"a new one":                {nil, "", last},
		"a new one with an image":  {nil, "postgres:18", "postgres:18"},
		"one without a setting":    {cluster17("postgres:17.6", nil), "", "postgres:17.6"},
		"a minor version":          {cluster17("postgres:17.6", nil), "postgres:17.7", "postgres:17.7"},
		"an image without a major": {cluster17("postgres:17", nil), "mirror/pg@sha256:00", "mirror/pg@sha256:00"},
		"set back after a failure": {cluster17("postgres:18", nil), "postgres:17", "postgres:17"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := map[string]any{}
			if test.there != nil {
				objects[clusterPath] = test.there
			}
			r := Requirements{Databases: []Database{{Name: "shop", Namespace: "apps", Cluster: "shop-postgres",
				Engine: CloudNativePGEngine, Image: test.image, LastImage: last}}}
			versions, err := r.versions(t.Context(), answering(t, objects))
			require.NoError(t, err)
			require.Equal(t, map[string]Version{"shop": {Image: test.wants}}, versions)
			require.Empty(t, r.notices(versions))
		})
	}
}

func TestAClusterMovesInPlaceAfterABackup(t *testing.T) {
	d := Database{Name: "shop", Namespace: "apps", Cluster: "shop-postgres", Backup: "shop-backup",
		Engine: CloudNativePGEngine, Image: "postgres:18", ImageSetting: "postgresImage", ArchiveSetting: "archive"}
	decide := func(there map[string]any, change func(*Database)) (Version, error) {
		d := d
		if change != nil {
			change(&d)
		}
		r := Requirements{Databases: []Database{d}}
		versions, err := r.versions(t.Context(), answering(t, map[string]any{clusterPath: there,
			"/apis/batch/v1/namespaces/apps/jobs": map[string]any{"kind": "JobList", "apiVersion": "batch/v1",
				"items": []any{map[string]any{
					"metadata": map[string]any{"labels": map[string]any{"app": "shop-backup"}},
					"status": map[string]any{"startTime": "2026-11-22T02:00:00Z",
						"completionTime": "2026-11-22T02:05:00Z"}}}}}))
		return versions["shop"], err
	}

	moves, err := decide(cluster17("postgres:17.6", nil), nil)
	require.NoError(t, err)
	require.Equal(t, "The database shop moves from PostgreSQL 17 to 18. First a backup is made while its "+
		"clients work (about 5m, as the last backup took), and the new version tries its parameters. Then all "+
		"servers stop, and clients wait until CloudNativePG has upgraded the volume. Only the backup leads back: "+
		"docs/high-availability.md#a-new-major-version", moves.notice)
	moves.notice = ""
	require.Equal(t, Version{Image: "postgres:18", OldImage: "postgres:17.6", Rehearses: true}, moves)

	begun, err := decide(cluster17("postgres:18", map[string]any{"status": map[string]any{"readyInstances": 0}}),
		nil)
	require.NoError(t, err, "a killed up goes on")
	require.Contains(t, begun.notice, "the Job shop-postgres-1-major-upgrade in apps says why: to have the "+
		"database as it was, give it the image postgres:17, and pulumi up --refresh")
	require.False(t, begun.Rehearses, "no server is there to back up from")

	plugin := map[string]any{"spec": map[string]any{"plugins": []any{map[string]any{"name": "barman"}}}}
	for name, test := range map[string]struct {
		there  map[string]any
		change func(*Database)
		err    string
	}{
		"back": {cluster17("postgres:17", nil), func(d *Database) { d.Image = "postgres:16" },
			"cannot move to 16 now: CloudNativePG does not go back. Take an image of PostgreSQL 17; "},
		"a restore": {cluster17("postgres:17", nil), func(d *Database) { d.Restored = true },
			"cannot move to 18 now: restoreFrom is set, and would be restored again: "},
		"an archive": {cluster17("postgres:17", plugin), nil,
			"set archive to false, pulumi up, then move, and set it to true again"},
		"an archive to come": {cluster17("postgres:17", nil), func(d *Database) { d.Archived = true },
			"set archive to false, pulumi up, then move, "},
		"no server": {cluster17("postgres:17", map[string]any{"status": map[string]any{"readyInstances": 0}}), nil,
			"none of its servers is ready, so there would be no backup of before: pulumi up with an image of " +
				"PostgreSQL 17 first. Nothing was changed"},
	} {
		_, err := decide(test.there, test.change)
		require.ErrorContains(t, err, "postgresImage: the database shop is of PostgreSQL 17, and ", name)
		require.ErrorContains(t, err, test.err, name)
	}
}
