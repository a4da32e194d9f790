package postgrestest

import (
	"cmp"
	"context"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// firstPassword is the password of every role until SetPassword.
const firstPassword = "correct-horse"

// Login is a role's login to a database.
type Login struct {
	server         *Server
	role, password string
	database       string // empty for the server's own
}

// As returns the login of another role.
func (s *Server) As(role string) *Login {
	return &Login{server: s, role: role, password: firstPassword}
}

// In returns the same login to another database.
func (l *Login) In(database string) *Login {
	return &Login{server: l.server, role: l.role, password: l.password, database: database}
}

// URL returns the address with the password.
func (l *Login) URL() string { return l.URLVia(l.server.Addr()) }

// URLVia returns the address with another host and port, such as a Proxy's.
func (l *Login) URLVia(addr string) string { return l.url(addr, url.Values{"sslmode": {"disable"}}) }

func (l *Login) url(addr string, parameters url.Values) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(l.role, l.password), Host: addr,
		Path: cmp.Or(l.database, l.server.database), RawQuery: parameters.Encode()}
	return u.String()
}

// Exec runs a statement on a connection of its own.
func (l *Login) Exec(sql string) {
	l.server.t.Helper()
	l.onConnection(func(ctx context.Context, conn *pgx.Conn) {
		_, err := conn.Exec(ctx, sql)
		require.NoError(l.server.t, err, sql)
	})
}

// Refusal returns the server's code when it refuses a statement, on a connection of its own.
func (l *Login) Refusal(sql string) (code string) {
	l.server.t.Helper()
	l.onConnection(func(ctx context.Context, conn *pgx.Conn) {
		_, err := conn.Exec(ctx, sql)
		var refusal *pgconn.PgError
		require.ErrorAs(l.server.t, err, &refusal, sql)
		code = refusal.Code
	})
	return code
}

// Ask returns the text that a statement returns, on a connection of its own.
func (l *Login) Ask(sql string) (answer string) {
	l.server.t.Helper()
	l.onConnection(func(ctx context.Context, conn *pgx.Conn) {
		require.NoError(l.server.t, conn.QueryRow(ctx, sql).Scan(&answer), sql)
	})
	return answer
}

func (l *Login) onConnection(do func(ctx context.Context, conn *pgx.Conn)) {
	l.server.t.Helper()
	ctx := l.server.t.Context()
	conn, err := pgx.Connect(ctx, l.URL())
	require.NoError(l.server.t, err)
	defer conn.Close(context.WithoutCancel(ctx))
	do(ctx, conn)
}
