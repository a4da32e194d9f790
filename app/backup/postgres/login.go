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

// ErrPermanent is an error that a retry does not cure.
var ErrPermanent = errors.New("refused")

// transientCodes start the codes of errors that a retry may cure: lost connections, transactions that were
// rolled back, lack of resources, locks, operator intervention, the operating system, internal errors, and
// objects that were dropped after they were listed.
// Source: https://www.postgresql.org/docs/17/errcodes-appendix.html
var transientCodes = []string{"08", "40", "53", "55", "57", "58", "XX000", "3F000", "42P01", "42703"}

// markPermanent marks errors that the server would return again, such as a wrong password, an unknown
// database or a missing right.
func markPermanent(err error) error {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || errors.Is(err, ErrPermanent) {
		return err
	}
	for _, code := range transientCodes {
		if strings.HasPrefix(refusal.Code, code) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrPermanent, err)
}

// login is the address of a database, and how to log in.
type login struct {
	config *pgx.ConnConfig
	url    *url.URL // without the password, which must not be visible in the arguments of a program
	// superuser says that the role is one. It must not run the functions of event triggers, whoever owns them.
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
		return login{}, fmt.Errorf(
			"%w: the database's address is no URL such as postgres://user:password@host/database", ErrPermanent)
	}
	parsed.User = url.User(parsed.User.Username())
	config.ConnectTimeout = connectTimeout
	maps.Copy(config.RuntimeParams, canonical)
	return login{config: config, url: parsed}, nil
}

// to returns the same login for another database.
func (l login) to(database string) login {
	config, other := l.config.Copy(), *l.url
	config.Database, other.Path, other.RawPath = database, "/"+database, ""
	return login{config, &other, l.superuser}
}

// as returns the login of another role, which is not a superuser.
func (l login) as(role, password string) login {
	config, other := l.config.Copy(), *l.url
	config.User, config.Password, other.User = role, password, url.User(role)
	return login{config: config, url: &other}
}

func (l login) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := connect(ctx, l.config)
	return conn, markPermanent(err)
}

// connect reads the bytes of a database without an encoding as they are.
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

// argument tells a program where the database is.
func (l login) argument() string { return "--dbname=" + l.url.String() }

// environment tells a program the rest.
func (l login) environment() []string {
	environment := []string{"PGPASSWORD=" + l.config.Password}
	if l.superuser {
		return withParameters(environment, map[string]string{"event_triggers": "off"})
	}
	return environment
}

// serverVersion returns the version of a connection's server, such as 17.11, and its major part.
func serverVersion(conn *pgx.Conn) (version string, major int, err error) {
	version, _, _ = strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
	major, err = Major(version)
	return version, major, err
}

// Major returns the first part of a version of Postgres.
func Major(version string) (major int, err error) {
	if _, err := fmt.Sscan(version, &major); err != nil {
		return 0, fmt.Errorf("%q is no version of Postgres", version)
	}
	return major, nil
}
