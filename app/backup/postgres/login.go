package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrPermanent is an error that another attempt does not cure.
var ErrPermanent = errors.New("refused")

// changing are errors that another attempt may not meet, by the beginnings of their codes: lost connections,
// transactions that were rolled back, a lack of resources, locks, what an operator does, the operating
// system, internal ones, and something that was dropped after it was listed.
// Source: https://www.postgresql.org/docs/17/errcodes-appendix.html
var changing = []string{"08", "40", "53", "55", "57", "58", "XX000", "3F000", "42P01", "42703"}

// refused marks the errors of a server that will not change its mind: wrong password, unknown database,
// missing right.
func refused(err error) error {
	var told *pgconn.PgError
	if !errors.As(err, &told) || errors.Is(err, ErrPermanent) {
		return err
	}
	for _, beginning := range changing {
		if strings.HasPrefix(told.Code, beginning) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrPermanent, err)
}

// login is where a database is, and how to get in.
type login struct {
	config *pgx.ConnConfig
	url    *url.URL // without the password, which must not show on the command line of a program
	// superuser says that the role is one, who must not run the functions of event triggers, whoever owns them.
	superuser bool
}

// parseLogin reads a URL such as postgres://user:password@host/database.
func parseLogin(address string) (login, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return login{}, fmt.Errorf("%w: %w", ErrPermanent, err)
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return login{}, fmt.Errorf("%w: the database's address is no URL such as postgres://user:password@host/database", ErrPermanent)
	}
	parsed.User = url.User(parsed.User.Username())
	config.ConnectTimeout = connectTimeout
	maps.Copy(config.RuntimeParams, uniform)
	return login{config: config, url: parsed}, nil
}

// in is the same login to another database.
func (l login) in(database string) login {
	config, other := l.config.Copy(), *l.url
	config.Database, other.Path, other.RawPath = database, "/"+database, ""
	return login{config, &other, l.superuser}
}

// as is another role's login, to any database as the login itself.
func (l login) as(role, password string) login {
	config, other := l.config.Copy(), *l.url
	config.User, config.Password, other.User = role, password, url.User(role)
	return login{config: config, url: &other}
}

func (l login) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := connect(ctx, l.config)
	return conn, refused(err)
}

// connect takes the bytes of a database without an encoding as they are.
func connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	const none = "SQL_ASCII"
	if err != nil || conn.PgConn().ParameterStatus("server_encoding") != none {
		return conn, err
	}
	if _, err := conn.Exec(ctx, "SET client_encoding = "+none); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// argument is how a program finds the database, environment what it has to know besides.
func (l login) argument() string { return "--dbname=" + l.url.String() }
func (l login) environment() []string {
	environment := []string{"PGPASSWORD=" + l.config.Password}
	if l.superuser {
		return withOptions(environment, map[string]string{"event_triggers": "off"})
	}
	return environment
}

// serverVersion is that of a connection's server, such as 17.11, and its major part.
func serverVersion(conn *pgx.Conn) (version string, major int, err error) {
	version, _, _ = strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
	major, err = Major(version)
	return version, major, err
}

// Major is the first part of a version of Postgres.
func Major(version string) (major int, err error) {
	if _, err := fmt.Sscan(version, &major); err != nil {
		return 0, fmt.Errorf("%q is no version of Postgres", version)
	}
	return major, nil
}
