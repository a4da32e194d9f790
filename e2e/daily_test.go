package e2e

import (
	"fmt"
	"math/rand/v2"
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

const dailyTodo = "daily-todo"

// encyclopedia is a server on this machine that stands in for Wikipedia.
type encyclopedia struct {
	*wikitest.Wiki
	// machine and node are addresses. Nobody listens at the node's.
	machine, node string
}

// scheduled is the article that the CronJob's own todo is about.
const scheduled = "/wiki/Caf%C3%A9_(drink)"

func startEncyclopedia(t *testing.T, c *cluster) encyclopedia {
	t.Helper()
	machine, _, err := net.SplitHostPort(os.Getenv("STATEFUL_K3S_REGISTRY"))
	require.NoError(t, err)
	nodes, err := c.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	return encyclopedia{wikitest.Start(t, net.JoinHostPort(machine, "0")), machine,
		nodes.Items[0].Status.Addresses[0].Address}
}

// settings have the CronJob ask it every minute.
func (e encyclopedia) settings() []string {
	return []string{
		"dailyTodoSchedule=* * * * *", "articleUrl=" + e.Page("/wiki/Special:Random", wikitest.Article(scheduled)),
		"articleCA=" + string(e.CA), "articleNetworks=" + e.machine + "/32 " + e.node + "/32",
	}
}

// addsDailyTodos runs Jobs of the CronJob, all at the same time, while the CronJob starts its own.
func addsDailyTodos(t *testing.T, c *cluster, wiki encyclopedia) {
	address := strings.TrimPrefix(wiki.URL, "https://")
	type answers []http.HandlerFunc
	good := func(name string) http.HandlerFunc { return wikitest.Article("/wiki/" + name) }
	cases := map[string]struct {
		answers
		fails string // what the last line of the log says, if no todo is added
	}{
		"too-long-at-first": {answers{wiki.Title(141), good("too-long-at-first")}, ""},
		"too-many-requests": {answers{wikitest.Status(http.StatusTooManyRequests, "2"),
			good("too-many-requests")}, ""},
		"hanging-for-a-time": {answers{wikitest.Hang, good("hanging-for-a-time")}, ""},
		"failing-at-first":   {answers{wikitest.Article(""), good("failing-at-first")}, ""},
		"no-location":        {answers{wikitest.Article("")}, "302 Found, and no redirect"},
		"other-host": {answers{wikitest.Article("https://evil.example/wiki/other-host")},
			"which is another host"},
		"http":     {answers{wikitest.Article("http://" + address + "/wiki/http")}, "which is not https"},
		"too-long": {answers{wiki.Title(141)}, "20 articles in a row make no todo"},
		"much-later": {answers{wikitest.Status(http.StatusTooManyRequests, "3600")},
			"429 Too Many Requests, retry after 1h0m0s; given up after"},
		"hanging": {answers{wikitest.Hang}, "no answer within"},
		"down":    {nil, "connect: connection refused (is it up, and may this pod reach it?); given up after"},
	}
	jobs := map[string]string{}
	for name, test := range cases {
		jobs[name] = c.startJob(dailyTodo, name, func(job *batchv1.JobSpec) {
			if test.answers == nil {
				setEnv(job, "ARTICLE_URL", strings.Replace(wiki.URL, wiki.machine, wiki.node, 1)) // where nobody listens
			} else {
				setEnv(job, "ARTICLE_URL", wiki.Page("/"+name, test.answers...))
			}
			if test.fails != "" {
				setEnv(job, "TIMEOUT", "10s")
				job.BackoffLimit = ptr.To[int32](0)
			}
		})
	}
	two := c.startJob(dailyTodo, "two-pods", func(job *batchv1.JobSpec) {
		setEnv(job, "ARTICLE_URL", wiki.Page("/two-pods", good("one-of-two"), good("two-of-two")))
		job.Completions, job.Parallelism = ptr.To[int32](2), ptr.To[int32](2)
	})
	byHand := fmt.Sprintf("by-hand-%x", rand.Uint32())
	run(t, command(".", "kubectl", "-n", c.namespace, "create", "job", byHand, "--from=cronjob/"+dailyTodo))

	assert.ElementsMatch(t, []string{"todo-backend-svc:80", address},
		c.reached(map[string]string{"app": dailyTodo},
			"todo-backend-svc:80", address, "todo-frontend-svc:80", "postgres-svc:5432", "postgres-svc.exercises:5432",
			"redis-svc.exercises:6379", "pingpong-svc.exercises:80", "storage-svc.storage:9000",
			os.Getenv("STATEFUL_K3S_REGISTRY"), "kubernetes.default:443"))

	// First, since the CronJob deletes its Jobs when it has newer ones.
	for _, name := range []string{byHand, c.scheduledJob(dailyTodo)} {
		completed, log := c.waitForJob(name)
		assert.True(t, completed, "%s: %s", name, log)
		assert.Contains(t, log, `msg=added title="Read `+wiki.URL+scheduled+`"`)
	}

	for name, test := range cases {
		completed, log := c.waitForJob(jobs[name])
		assert.Equal(t, test.fails == "", completed, "%s: %s", name, log)
		if test.fails == "" {
			assert.Contains(t, log, `level=INFO msg=added title="Read `+wiki.URL+"/wiki/"+name+
				`" todo=http://todo-backend-svc/todos/`)
			assert.Equal(t, 1, c.todosAbout("/wiki/"+name), name)
		} else {
			assert.Contains(t, lastLine(log), "level=ERROR msg=stopped error=", name)
			assert.Contains(t, lastLine(log), test.fails)
			assert.Zero(t, c.todosAbout("/wiki/"+name), name)
		}
	}

	completed, log := c.waitForJob(two)
	assert.True(t, completed, log)
	assert.Equal(t, 1, strings.Count(log, "msg=added "), log)
	assert.Equal(t, 1, strings.Count(log, `msg="already added" job=`+two), log)
	assert.Equal(t, 1, c.todosAbout("-of-two"))

	assert.GreaterOrEqual(t, c.todosAbout(scheduled), 2)
}

func lastLine(log string) string {
	log = strings.TrimSuffix(log, "\n")
	return log[strings.LastIndex(log, "\n")+1:]
}

// deleteDaily deletes all Jobs of daily-todo, whoever started them.
func (c *cluster) deleteDaily() {
	c.t.Helper()
	run(c.t, command(".", "kubectl", "-n", c.namespace, "delete", "job", "--selector", "app="+dailyTodo))
}

// todosAbout counts the todos about an article.
func (c *cluster) todosAbout(article string) (n int) {
	c.t.Helper()
	for _, title := range c.site(todoService).todosWith("Read ") {
		if strings.HasSuffix(title, article) {
			n++
		}
	}
	return n
}
