package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	superuser = "postgres"
	// controlSocket is where Serve listens, in the folder that it shares with its clients.
	controlSocket = "control"
	// segmentSocket is where a scratch server fetches its log, in its own folder.
	segmentSocket = "log"
	// maxLocks is enough for all objects that one transaction of pg_restore makes.
	maxLocks = 1024
)

// scratchParameters are for a server without other clients. Its data need not outlive it.
var scratchParameters = map[string]string{
	"listen_addresses": "", "port": "5432", "max_connections": "10", "unix_socket_permissions": "0700",
	"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "wal_level": "minimal",
	"max_wal_senders": "0", "autovacuum": "off", "shared_buffers": "32MB", "max_wal_size": "1GB",
	"max_locks_per_transaction":  strconv.Itoa(maxLocks),
	"dynamic_shared_memory_type": "mmap", // which needs no /dev/shm
	"logging_collector":          "off",
	"event_triggers":             "off", // anybody may own their functions
}

// startRequest asks Serve for a server.
type startRequest struct {
	// Folder is the server's own, in the shared one.
	Folder string
	// New makes an empty server. Otherwise it starts on the data in its folder, and fetches its log there.
	New        bool
	Parameters []string
}

// exit says why a server has ended.
type exit struct{ Error string }

// Serve runs the scratch servers that clients ask for in a shared folder, one after the other, until ctx
// ends. When a server ends, so does everything that it has started. Code that runs as its superuser, such as
// a function in a dump, can do whatever this process can. So this process must not see anything worth
// knowing, or share its container.
func Serve(ctx context.Context, shared string) error {
	if os.Getpid() != 1 {
		return errors.New("this ends all other processes: run it as the only one of a container")
	}
	path := filepath.Join(shared, controlSocket)
	if err := os.RemoveAll(path); err != nil { // left by a process that was killed
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	for {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		handle(ctx, shared, conn)
	}
}

// handle runs a server until it ends, or until the client closes its side of the connection.
func handle(ctx context.Context, shared string, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var request startRequest
	if err := json.NewDecoder(conn).Decode(&request); err != nil {
		slog.Warn("cannot read a request", "error", err)
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	}()
	err := request.run(ctx, shared)
	killOthers()
	_ = json.NewEncoder(conn).Encode(exit{err.Error()}) // the client may be gone
}

// run returns why the server has ended, never nil.
func (r startRequest) run(ctx context.Context, shared string) error {
	if !filepath.IsLocal(r.Folder) {
		return fmt.Errorf("%s is not in the shared folder", r.Folder)
	}
	dir := filepath.Join(shared, r.Folder)
	data := dataDir(dir)
	if r.New {
		if _, err := output(ctx, nil, "initdb", "--pgdata="+data, "--username="+superuser, "--auth=trust",
			"--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"); err != nil {
			return err
		}
	}
	args := []string{"-D", data, "-k", dir}
	for name, value := range scratchParameters {
		args = append(args, "-c", name+"="+value)
	}
	for _, parameter := range r.Parameters {
		args = append(args, "-c", parameter)
	}
	if !r.New {
		own, err := os.Executable()
		if err != nil {
			return err
		}
		args = append(args, "-c",
			fmt.Sprintf(`restore_command=%s segment %s %%f "%%p"`, own, filepath.Join(dir, segmentSocket)))
	}
	cmd, stderr := command(ctx, nil, "postgres", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // immediately, with its children
	err := cmd.Run()
	if err == nil {
		err = errors.New("it was shut down")
	}
	return commandError(ctx, cmd, stderr, err)
}

func dataDir(dir string) string { return filepath.Join(dir, "data") }

// killOthers ends everything that a server has left running. It has become a child of this process.
func killOthers() {
	_ = unix.Kill(-1, unix.SIGKILL) // there may be none
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
