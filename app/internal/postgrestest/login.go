package postgrestest

import (
	"cmp"
	"context"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// firstPassword is every role's, until SetPassword.
const firstPassword = "correct-horse"

// Login is what one role can do with the server.
type Login struct {
	server         *Server
	role, password string
	database       string // the server's, if empty
}

// As is the login of another role.
func (s *Server) As(role string) *Login {
	return &Login{server: s, role: role, password: firstPassword}
}

// In is the same login to another database.
func (l *Login) In(database string) *Login {
	return &Login{server: l.server, role: l.role, password: l.password, database: database}
}

// URL is the address with the password.
func (l *Login) URL() string { return l.URLVia(l.server.Addr()) }

// URLVia is the address with another host and port, such as those of a Proxy.
func (l *Login) URLVia(addr string) string { return l.url(addr, url.Values{"sslmode": {"disable"}}) }

func (l *Login) url(addr string, parameters url.Values) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(l.role, l.password), Host: addr,
		Path: cmp.Or(l.database, l.server.database), RawQuery: parameters.Encode()}
	return u.String()
}

// Exec runs a statement on a connection of its own.
func (l *Login) Exec(sql string) {
	t := l.server.t
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.URL())
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
}

// Refusal is the code with which the server refuses a statement, on a connection of its own.
func (l *Login) Refusal(sql string) (code string) {
	t := l.server.t
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.URL())
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), sql)
	var refusal *pgconn.PgError
	require.ErrorAs(t, err, &refusal, sql)
	return refusal.Code
}

// Ask returns what a statement says, a text, on a connection of its own.
func (l *Login) Ask(sql string) (answer string) {
	t := l.server.t
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.URL())
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&answer), sql)
	return answer
}
