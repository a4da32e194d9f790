package e2e

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/internal/wikitest"
)

// TestDailyTodo has the CronJob run every minute, and ask a server on this machine that stands in for Wikipedia.
func TestDailyTodo(t *testing.T) {
	c := newCluster(t).in(project)
	machine, _, err := net.SplitHostPort(os.Getenv("STATEFUL_K3S_REGISTRY"))
	require.NoError(t, err)
	wiki := wikitest.Start(t, net.JoinHostPort(machine, "0"))
	_, port, err := net.SplitHostPort(strings.TrimPrefix(wiki.URL, "https://"))
	require.NoError(t, err)
	nodes, err := c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	node := nodes.Items[0].Status.Addresses[0].Address // where nobody listens on that port
	const random = "/wiki/Special:Random"

	t.Cleanup(func() {
		makeUp(t)
		c.deleteDaily()
		c.psql("DELETE FROM todo WHERE title LIKE 'Read " + wiki.URL + "/%'")
	})
	pulumiUpWith(t, "dailyTodoSchedule=* * * * *", "articleUrl="+wiki.Page(random, wikitest.Article("/wiki/Caf%C3%A9_(drink)")),
		"articleCA="+string(wiki.CA), "articleNetworks="+machine+"/32 "+node+"/32")

	c.deleteDaily()

	// All of these run at the same time.
	article := func(name string) http.HandlerFunc { return wikitest.Article("/wiki/" + name) }
	good := map[string][]http.HandlerFunc{
		"too-long-at-first":  {wiki.Title(141), article("too-long-at-first")},
		"too-many-requests":  {wikitest.Status(http.StatusTooManyRequests, "2"), article("too-many-requests")},
		"hanging-for-a-time": {wikitest.Hang, article("hanging-for-a-time")},
		"fails-at-first":     {article(""), article("fails-at-first")},
	}
	for name, answers := range good {
		c.startDaily(name, func(job *batchv1.JobSpec) { setEnv(job, "ARTICLE_URL", wiki.Page("/"+name, answers...)) })
	}
	bad := map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"no-location": {article(""), "302 Found, and no redirect"},
		"other-host":  {wikitest.Article("https://evil.example/wiki/A"), "which is another host"},
		"http":        {wikitest.Article(strings.Replace(wiki.URL, "https", "http", 1) + "/wiki/A"), "which is not https"},
		"too-long":    {wiki.Title(141), "20 articles in a row make no todo"},
		"later":       {wikitest.Status(http.StatusTooManyRequests, "3600"), "429 Too Many Requests, retry after 1h0m0s; given up after"},
		"hanging":     {wikitest.Hang, "no answer within"},
	}
	once := func(job *batchv1.JobSpec, url string) {
		setEnv(job, "ARTICLE_URL", url)
		setEnv(job, "TIMEOUT", "10s")
		job.BackoffLimit = ptr.To[int32](0)
	}
	for name, test := range bad {
		c.startDaily(name, func(job *batchv1.JobSpec) { once(job, wiki.Page("/"+name, test.answer)) })
	}
	c.startDaily("down", func(job *batchv1.JobSpec) { once(job, "https://"+net.JoinHostPort(node, port)+random) })
	c.startDaily("two-pods", func(job *batchv1.JobSpec) {
		setEnv(job, "ARTICLE_URL", wiki.Page("/two-pods", article("one-of-two"), article("two-of-two")))
		job.Completions, job.Parallelism = ptr.To[int32](2), ptr.To[int32](2)
	})
	run(t, command(".", "kubectl", "-n", c.namespace, "create", "job", "by-hand", "--from=cronjob/"+dailyTodo))

	for name := range good {
		completed, log := c.waitForJob(name)
		assert.True(t, completed, "%s: %s", name, log)
		assert.Contains(t, log, `msg=added title="Read `+wiki.URL+"/wiki/"+name+`"`)
		assert.Equal(t, 1, c.todosAbout("/wiki/"+name), name)
	}
	for name, test := range bad {
		completed, log := c.waitForJob(name)
		assert.False(t, completed, "%s: %s", name, log)
		assert.Contains(t, lastLine(log), "level=ERROR msg=stopped", name)
		assert.Contains(t, lastLine(log), test.says)
	}
	completed, log := c.waitForJob("down")
	assert.False(t, completed, log)
	assert.Contains(t, lastLine(log), "connect: connection refused (is it up, and may this pod reach it?); given up after")

	completed, log = c.waitForJob("two-pods")
	assert.True(t, completed, log)
	assert.Equal(t, 1, strings.Count(log, "msg=added "), log)
	assert.Equal(t, 1, strings.Count(log, `msg="already added" job=two-pods`), log)
	assert.Equal(t, 1, c.todosAbout("-of-two"))

	output, _ := c.visit(map[string]string{"app": dailyTodo}, connect("todo-backend-svc:80", net.JoinHostPort(machine, port),
		"postgres-svc:5432", "todo-frontend-svc:80", "postgres-svc.exercises:5432", "redis-svc.exercises:6379", "pingpong-svc.exercises:80",
		os.Getenv("STATEFUL_K3S_REGISTRY"), "kubernetes.default:443"))
	assert.Equal(t, "yes yes no no no no no no no", strings.Join(strings.Fields(output), " "))

	added := 0
	for _, name := range []string{"by-hand", c.scheduledJob()} {
		completed, log := c.waitForJob(name)
		assert.True(t, completed, "%s: %s", name, log)
		added += strings.Count(log, `msg=added title="Read `+wiki.URL+`/wiki/Caf%C3%A9_(drink)"`)
	}
	assert.Equal(t, 2, added)
	assert.GreaterOrEqual(t, c.todosAbout("/wiki/Caf%C3%A9_(drink)"), 2)
}

func lastLine(log string) string {
	log = strings.TrimSuffix(log, "\n")
	return log[strings.LastIndex(log, "\n")+1:]
}
