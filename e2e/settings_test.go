package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
	"github.com/stateful-k3s/stateful-k3s/internal/wikitest"
)

// TestTheStackFollowsItsSettings makes many settings in one up, and in another one the Gateway.
func TestTheStackFollowsItsSettings(t *testing.T) {
	c := newCluster(t)
	wiki, name, before := startEncyclopedia(t), issueTLSName(c), keepInPostgres(c)
	certificate := startGateway(c)
	pulumi.Configure(t, map[string]string{"pageLogin": name.users})
	t.Cleanup(func() {
		pulumi.MakeUp(t)
		deleteDaily(c.In(project))
		postgres.Query(c.In(project), "DELETE FROM todo WHERE title LIKE 'Read "+wiki.URL+"/%'")
	})
	heartbeats := startHeartbeats(t, wiki.machine)
	proc.Run(t, pulumi.Up(append(wiki.settings(),
		"backupSchedule=* * * * *", "ingressHost="+name.host, "ingressIssuer="+name.issuer,
		"secretVersions=postgres=2",
		`postgresParameters=work_mem=3MB; my.parameter=it's 1\2`)...))
	c.In(project).WaitUntilReplaced("deployment/todo-frontend")
	deleteDaily(c.In(project))

	t.Run("together", func(t *testing.T) {
		for setting, followed := range map[string]func(*testing.T, *kube.Cluster){
			"backupSchedule":     backsUpUnderLoad,
			"backupHeartbeatUrl": heartbeats.followBackups,
			"dailyTodoSchedule":  func(t *testing.T, c *kube.Cluster) { addsDailyTodos(t, c.In(project), wiki) },
			"ingressHost":        func(t *testing.T, c *kube.Cluster) { answersForOneName(t, c, name) },
			"postgresParameters": func(t *testing.T, c *kube.Cluster) { postgresHasFollowed(t, c, before) },
		} {
			t.Run(setting, func(t *testing.T) {
				t.Parallel()
				followed(t, c.For(t))
			})
		}
	})
	t.Run("gateway", func(t *testing.T) { throughTheGateway(t, c.For(t), certificate) })
}

// Settings come and go without a trace in the stack's file, which in a user's checkout is in git.
func TestSettingsLeaveTheirFileAsItWas(t *testing.T) {
	connect(t)
	pulumi.RestoreSettings(t)
	file := filepath.Join(lab.Checkout, "Pulumi."+lab.Name()+".yaml")
	content := func() string {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(content)
	}
	tracked, err := os.ReadFile(filepath.Join(lab.Checkout, "Pulumi.dev.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, tracked, 0o644))
	for setting, set := range map[string][]string{
		"redisMemory":   {"redisMemory", "128Mi"},
		"redisPassword": {"--secret", "redisPassword", "hunter2"},
		"databases":     {"--path", "databases[0].name", "todo"},
	} {
		pulumi.Run(t, "config", append([]string{"set"}, set...)...)
		for line := range strings.Lines(string(tracked)) {
			assert.Contains(t, content(), line, setting)
		}
		pulumi.Run(t, "config", "rm", setting)
		assert.Equal(t, string(tracked), content(), setting)
	}
}

const dailyTodo = "daily-todo"

// encyclopedia is a server on this machine that stands in for Wikipedia.
type encyclopedia struct {
	*wikitest.Wiki
	// machine and node are addresses. Nothing listens at the node's.
	machine, node string
}

// scheduled is the article that the CronJob's own todo is about.
const scheduled = "/wiki/Caf%C3%A9_(drink)"

func startEncyclopedia(t *testing.T) encyclopedia {
	machine, _, err := net.SplitHostPort(lab.Registry())
	require.NoError(t, err)
	return encyclopedia{wikitest.Start(t, net.JoinHostPort(machine, "0")), machine, lab.NodeAddress()}
}

// settings make the CronJob ask it every minute.
func (e encyclopedia) settings() []string {
	return []string{
		"dailyTodoSchedule=* * * * *", "articleUrl=" + e.Page("/wiki/Special:Random", wikitest.Article(scheduled)),
		"articleCA=" + string(e.CA), "articleNetworks=" + e.machine + "/32 " + e.node + "/32",
	}
}

// dailyCase is how the encyclopedia answers a Job.
type dailyCase struct {
	answers []http.HandlerFunc // without one, nothing listens
	fails   string             // what the last line of the log says if no todo is added
}

func (e encyclopedia) cases() map[string]dailyCase {
	type answers = []http.HandlerFunc
	good := func(name string) http.HandlerFunc { return wikitest.Article("/wiki/" + name) }
	elsewhere := strings.Replace(e.URL, "https:", "http:", 1)
	return map[string]dailyCase{
		"too-long-at-first": {answers{e.Title(141), good("too-long-at-first")}, ""},
		"too-many-requests": {answers{wikitest.Status(http.StatusTooManyRequests, "2"),
			good("too-many-requests")}, ""},
		"hanging-for-a-time": {answers{wikitest.Hang, good("hanging-for-a-time")}, ""},
		"failing-at-first":   {answers{wikitest.Article(""), good("failing-at-first")}, ""},
		"no-location":        {answers{wikitest.Article("")}, "302 Found, and no redirect"},
		"other-host": {answers{wikitest.Article("https://evil.example/wiki/other-host")},
			"which is another host"},
		"http":     {answers{wikitest.Article(elsewhere + "/wiki/http")}, "which is not https"},
		"too-long": {answers{e.Title(141)}, "the backend refused 20 articles in a row"},
		"much-later": {answers{wikitest.Status(http.StatusTooManyRequests, "3600")},
			"429 Too Many Requests, retry after 1h0m0s; given up after"},
		"hanging": {answers{wikitest.Hang}, "no answer within"},
		"down":    {nil, "connect: connection refused (is it up, and may this pod reach it?); given up after"},
	}
}

// start starts the Job of a case.
func (e encyclopedia) start(c *kube.Cluster, name string, test dailyCase) (job string) {
	return c.StartJob(dailyTodo, name, func(job *batchv1.JobSpec) {
		article := strings.Replace(e.URL, e.machine, e.node, 1)
		if test.answers != nil {
			article = e.Page("/"+name, test.answers...)
		}
		kube.SetEnv(job, "ARTICLE_URL", article)
		if test.fails != "" {
			kube.SetEnv(job, "TIMEOUT", "10s")
			job.BackoffLimit = ptr.To[int32](0)
		}
	})
}

// addsDailyTodos runs Jobs of the CronJob, all at the same time, while the CronJob starts its own.
func addsDailyTodos(t *testing.T, c *kube.Cluster, wiki encyclopedia) {
	cases, jobs := wiki.cases(), map[string]string{}
	for name, test := range cases {
		jobs[name] = wiki.start(c, name, test)
	}
	two := c.StartJob(dailyTodo, "two-pods", func(job *batchv1.JobSpec) {
		kube.SetEnv(job, "ARTICLE_URL", wiki.Page("/two-pods",
			wikitest.Article("/wiki/one-of-two"), wikitest.Article("/wiki/two-of-two")))
		job.Completions, job.Parallelism = ptr.To[int32](2), ptr.To[int32](2)
	})
	byHand := fmt.Sprintf("by-hand-%x", rand.Uint32())
	c.Kubectl("create", "job", byHand, "--from=cronjob/"+dailyTodo)

	address := strings.TrimPrefix(wiki.URL, "https://")
	assert.ElementsMatch(t, []string{"todo-backend-svc:80", address},
		c.Reached(map[string]string{"app": dailyTodo},
			"todo-backend-svc:80", address, "todo-frontend-svc:80", "postgres-svc:5432", "postgres-svc.exercises:5432",
			"redis-svc.exercises:6379", "pingpong-svc.exercises:80", "storage-svc.storage:9000",
			lab.Registry(), "kubernetes.default:443"))

	// First, since the CronJob deletes its Jobs when it has newer ones.
	for _, name := range []string{byHand, c.ScheduledJob(dailyTodo)} {
		completed, log := c.WaitForJob(name)
		assert.True(t, completed, "%s: %s", name, log)
		assert.Contains(t, log, `msg=added title="Read `+wiki.URL+scheduled+`"`)
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) { test.check(c.For(t), wiki.URL+"/wiki/"+name, jobs[name]) })
	}
	completed, log := c.WaitForJob(two)
	assert.True(t, completed, log)
	assert.Equal(t, 1, strings.Count(log, "msg=added "), log)
	assert.Equal(t, 1, strings.Count(log, `msg="already added" job=`+two), log)
	assert.Equal(t, 1, todosAbout(c, "-of-two"))
	assert.GreaterOrEqual(t, todosAbout(c, scheduled), 2)
}

// check waits for the Job of a case, and looks for a todo about the article.
func (test dailyCase) check(c *kube.Cluster, article, job string) {
	completed, log := c.WaitForJob(job)
	assert.Equal(c.T, test.fails == "", completed, log)
	if test.fails == "" {
		assert.Contains(c.T, log, `level=INFO msg=added title="Read `+article+
			`" todo=http://todo-backend-svc/todos/`)
		assert.Equal(c.T, 1, todosAbout(c, article))
		return
	}
	lines := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	assert.Contains(c.T, lines[len(lines)-1], "level=ERROR msg=stopped error=")
	assert.Contains(c.T, lines[len(lines)-1], test.fails)
	assert.Zero(c.T, todosAbout(c, article))
}

// deleteDaily deletes all Jobs of daily-todo, whoever started them, and returns when their pods are gone too.
func deleteDaily(c *kube.Cluster) {
	c.Kubectl("delete", "job", "--selector", "app="+dailyTodo, "--cascade=foreground")
}

// todosAbout counts the todos about articles with an ending.
func todosAbout(c *kube.Cluster, article string) (n int) {
	for _, title := range traffic.Backend(c).TodosWith("Read ") {
		if strings.HasSuffix(title, article) {
			n++
		}
	}
	return n
}
