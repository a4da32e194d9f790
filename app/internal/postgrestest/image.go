package postgrestest

import (
	"net/url"
	"path"
	"testing"

	"github.com/stateful-k3s/stateful-k3s/app/internal/certificatetest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/freeport"
	"github.com/stateful-k3s/stateful-k3s/app/internal/imagetest"
)

// roles are the roles of the stack's servers. There the superuser has no password.
const roles = `
	CREATE ROLE app LOGIN PASSWORD '` + firstPassword + `';
	CREATE ROLE reader LOGIN BYPASSRLS PASSWORD '` + firstPassword + `';
	ALTER ROLE reader SET default_transaction_read_only = on;
	GRANT pg_read_all_data TO reader;
	CREATE ROLE restorer LOGIN SUPERUSER PASSWORD '` + firstPassword + `';`

// StartIn starts a server in the tree with an empty database of the role app. The role reader may read
// everything; postgres and restorer are superusers. It accepts connections with and without TLS. It ends with
// the test.
func StartIn(t testing.TB, tree *imagetest.Tree) *Server {
	t.Helper()
	dir := tree.TempDir()
	certificate, key := certificatetest.New(t, "localhost")
	name := path.Base(dir)
	s := &Server{t: t, port: freeport.Find(t), database: "postgres", dir: dir, command: tree.Command,
		settings: []string{
			"-c", "ssl=on",
			"-c", "ssl_cert_file=" + tree.File(name+".crt", certificate),
			"-c", "ssl_key_file=" + tree.File(name+".key", key),
		}}
	superuser := s.As("postgres")
	s.Login = superuser
	s.initialize("--username=postgres", "--pwfile="+tree.File(name+".password", firstPassword),
		"--data-checksums", "--locale-provider=builtin", "--locale=C.UTF-8",
		"--set=dynamic_shared_memory_type=mmap") // in files of its own, which go with it
	superuser.Exec(roles)
	superuser.Exec("CREATE DATABASE app OWNER app")
	superuser.Exec("REVOKE ALL ON DATABASE app, postgres, template1 FROM PUBLIC; " +
		"GRANT CONNECT ON DATABASE app TO reader")
	s.Login, s.database, s.certificate = s.As("app"), "app", dir+".crt"
	return s
}

// Archive restarts the server with an archive_command, and additional environment variables.
func (s *Server) Archive(command string, environment ...string) {
	s.t.Helper()
	s.environment = environment
	s.Set("archive_mode=on", "archive_command="+command, "archive_timeout=1h")
}

// Set restarts the server, as after a crash, with parameters such as archive_timeout=1s.
func (s *Server) Set(parameters ...string) {
	s.t.Helper()
	for _, parameter := range parameters {
		s.settings = append(s.settings, "-c", parameter)
	}
	s.Kill()
	s.Restart()
}

// TakeCertificate restarts the server with the certificate of another one in the tree.
func (s *Server) TakeCertificate(other *Server) {
	s.t.Helper()
	s.Set("ssl_cert_file="+other.dir+".crt", "ssl_key_file="+other.dir+".key")
}

// Local returns libpq's variables for programs beside the server. They log in as its superuser.
func (s *Server) Local() []string {
	return []string{"PGDATA=" + s.data(), "PGHOST=" + s.dir, "PGPORT=" + s.port, "PGUSER=postgres",
		"PGPASSWORD=" + firstPassword}
}

// TLSURL returns the address for programs in the tree. They verify the server's certificate, as pods do.
func (l *Login) TLSURL() string {
	return l.url(l.server.Addr(), url.Values{"sslmode": {"verify-full"}, "sslrootcert": {l.server.certificate}})
}
