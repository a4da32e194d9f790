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
	// control is the socket on which Serve waits for orders, in the folder that it shares with those who give
	// them.
	control = "control"
	// logSocket is the one on which a server is given its log, in its own folder.
	logSocket = "log"
	// locks are enough for the objects that a transaction of pg_restore makes.
	locks = 1024
)

// throwaway are parameters of a server that nobody else reaches, and whose data need not outlive it.
var throwaway = map[string]string{
	"listen_addresses": "", "port": "5432", "max_connections": "10", "unix_socket_permissions": "0700",
	"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "wal_level": "minimal",
	"max_wal_senders": "0",
	"autovacuum":      "off", "shared_buffers": "32MB", "max_wal_size": "1GB",
	"max_locks_per_transaction":  strconv.Itoa(locks),
	"dynamic_shared_memory_type": "mmap", // which needs no /dev/shm
	"logging_collector":          "off",
	"event_triggers":             "off", // whose functions anybody may own
}

// order asks for a server.
type order struct {
	// Folder is its own, in the shared one.
	Folder string
	// New has it begin empty. Else it begins with what is in its folder, and asks there for its log.
	New        bool
	Parameters []string
}

// end is why a server has ended.
type end struct{ Error string }

// Serve runs a throwaway server for each order that comes in a shared folder, one after the other, until ctx
// ends. Whatever a server has started ends with it. What runs as the server's superuser, such as functions in
// a dump, can do what this process can: it must not see anything worth knowing, nor share its container with
// others.
func Serve(ctx context.Context, shared string) error {
	if os.Getpid() != 1 {
		return errors.New("this ends all other processes: run it as the only one of a container")
	}
	path := filepath.Join(shared, control)
	if err := os.RemoveAll(path); err != nil { // of one that was killed
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
		obey(ctx, shared, conn)
	}
}

// obey runs a server until it ends, or whoever asked for it closes the connection for writing.
func obey(ctx context.Context, shared string, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var o order
	if err := json.NewDecoder(conn).Decode(&o); err != nil {
		slog.Warn("no order", "error", err)
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	}()
	err := o.run(ctx, shared)
	killOthers()
	_ = json.NewEncoder(conn).Encode(end{err.Error()}) // it may be gone
}

// run always returns why the server has ended.
func (o order) run(ctx context.Context, shared string) error {
	if !filepath.IsLocal(o.Folder) {
		return fmt.Errorf("%s is not in the shared folder", o.Folder)
	}
	dir := filepath.Join(shared, o.Folder)
	data := dataOf(dir)
	if o.New {
		if _, err := output(ctx, nil, "initdb", "--pgdata="+data, "--username="+superuser, "--auth=trust",
			"--encoding=UTF8",
			"--no-locale", "--no-sync", "--no-instructions"); err != nil {
			return err
		}
	}
	args := []string{"-D", data, "-k", dir}
	for name, value := range throwaway {
		args = append(args, "-c", name+"="+value)
	}
	for _, parameter := range o.Parameters {
		args = append(args, "-c", parameter)
	}
	if !o.New {
		own, err := os.Executable()
		if err != nil {
			return err
		}
		args = append(args, "-c", fmt.Sprintf(`restore_command=%s segment %s %%f "%%p"`, own,
			filepath.Join(dir, logSocket)))
	}
	cmd, said := program(ctx, nil, "postgres", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // at once, its children too
	err := cmd.Run()
	if err == nil {
		err = errors.New("it was shut down")
	}
	return failure(ctx, cmd, said, err)
}

func dataOf(dir string) string { return filepath.Join(dir, "data") }

// killOthers ends all that a server has left running. They are children of this process by then.
func killOthers() {
	_ = unix.Kill(-1, unix.SIGKILL) // there may be none
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
