package config

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/todo"
)

// builtIn are the databases of the stack's own apps.
var builtIn = []Database{
	{Name: "pingpong", Namespace: "exercises", BuiltIn: true},
	{Name: "todo", Namespace: "project", BuiltIn: true},
}

// Apps holds the settings of the stack's own apps.
type Apps struct {
	Pingpong Pingpong
	Todo     Todo
}

// Pingpong holds the settings of the pods that count pings.
type Pingpong struct {
	Replicas int
}

// Todo holds the settings of the todo project.
type Todo struct {
	BackendReplicas, FrontendReplicas int
	AllowedOrigins, OwnOrigins        string
	Login                             pulumi.StringInput // nil if not set
	Daily                             todo.Daily
}

const pingpongReplicas, backendReplicas = "pingpongReplicas", "todoBackendReplicas"

func (r *reader) apps() Apps {
	return Apps{
		Pingpong: Pingpong{Replicas: r.number(pingpongReplicas, replicas, "2")},
		Todo: Todo{
			BackendReplicas:  r.number(backendReplicas, replicas, "2"),
			FrontendReplicas: r.number("todoFrontendReplicas", replicas, "2"),
			AllowedOrigins:   r.text("todoAllowedOrigins", origins, "https://todo.example.com"),
			OwnOrigins:       r.text("todoOwnOrigins", optional(ownOrigins), "https://todo.example.com"),
			Login:            r.secret("pageLogin", logins, `"$(htpasswd -nB alice)"`),
			Daily: todo.Daily{
				Schedule:    r.text("dailyTodoSchedule", schedule, `"0 * * * *"`),
				TimeZone:    r.text("dailyTodoTimeZone", timeZone, "Europe/Helsinki"),
				ArticleURL:  r.text("articleUrl", articleURL, "https://en.wikipedia.org/wiki/Special:Random"),
				Authorities: r.text("articleCA", optional(certificates), `"$(cat ca.crt)"`),
				Networks:    r.networksOrInternet("articleNetworks", "10.0.0.0/8"),
			},
		},
	}
}

// pods returns how many pods connect to a database, and the setting that says so; 0 for apps of other people.
func (a Apps) pods(database string) (replicasKey string, replicas int) {
	switch database {
	case "pingpong":
		return pingpongReplicas, a.Pingpong.Replicas
	case "todo":
		return backendReplicas, a.Todo.BackendReplicas
	}
	return "", 0
}
