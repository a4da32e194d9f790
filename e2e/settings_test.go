package e2e

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheStackFollowsItsSettings makes many settings in one up.
func TestTheStackFollowsItsSettings(t *testing.T) {
	c := newCluster(t)
	node, err := url.Parse(outputs(t).TodoURL)
	require.NoError(t, err)
	wiki, name, before := startEncyclopedia(t, c), c.createTLSName(), c.keepInPostgres()
	t.Cleanup(func() {
		makeUp(t)
		c.in(project).deleteDaily()
		c.in(project).psql("DELETE FROM todo WHERE title LIKE 'Read " + wiki.URL + "/%'")
	})
	pulumiUpWith(t, append(wiki.settings(),
		"backupSchedule=* * * * *", "ingressHost="+name.host, "ingressTLSSecret="+name.secret,
		"postgresPasswordVersion=2", "postgresTLSVersion=2",
		`postgresParameters=work_mem=3MB; my.parameter=it's 1\2`)...)
	c.in(project).deleteDaily()

	for setting, followed := range map[string]func(*testing.T, *cluster){
		"backupSchedule":     backsUpUnderLoad,
		"dailyTodoSchedule":  func(t *testing.T, c *cluster) { addsDailyTodos(t, c.in(project), wiki) },
		"ingressHost":        func(t *testing.T, _ *cluster) { answersForOneName(t, name, node) },
		"postgresParameters": func(t *testing.T, c *cluster) { postgresHasFollowed(t, c, before) },
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			followed(t, c.of(t))
		})
	}
}
