package lab

import (
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
)

// Traces are everything on this machine that a lab could leave behind.
type Traces map[string]bool

// counters change in packet filters by themselves.
var counters = regexp.MustCompile(`\[\d+:\d+\]`)

// RecordTraces records processes, mounts, interfaces, packet filters, control groups and files.
func RecordTraces(t *testing.T) Traces {
	traces := Traces{}
	for _, process := range proc.Find(func(string) bool { return true }) {
		traces["process "+strconv.Itoa(process)] = true
	}
	for line := range strings.Lines(proc.Read("/proc/self", "mountinfo")) {
		fields := strings.Fields(line)
		traces["mount "+fields[4]+" "+fields[3]] = true // where, and what part of the source
	}
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range interfaces {
		traces["interface "+i.Name] = true
	}
	for _, command := range []string{"iptables-save", "ip6tables-save", "nft list tables", "ip route",
		"ipset list -name"} {
		words := strings.Fields(command)
		output, err := exec.Command(words[0], words[1:]...).Output()
		require.NoError(t, err, command)
		for line := range strings.Lines(string(output)) {
			if !strings.HasPrefix(line, "#") {
				traces[words[0]+" "+strings.TrimSpace(counters.ReplaceAllString(line, ""))] = true
			}
		}
	}
	for _, root := range []string{"/sys/fs/cgroup", "/etc", "/opt", "/run", "/srv", "/usr/local/bin",
		"/var/lib", "/var/log", filepath.Join(Checkout, ".lab")} {
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && (entry.IsDir() || root != "/sys/fs/cgroup") {
				traces["file "+path] = true
			}
			return nil // files may disappear meanwhile
		})
	}
	return traces
}

// Since lists the traces that were not there before. Traces of other labs don't count, nor do processes that
// one from before has started, which a lab's daemons are not.
func (traces Traces) Since(before Traces, lab string) []string {
	var fresh []string
	for trace := range traces {
		if before[trace] || ofAnotherLab(trace, lab) {
			continue
		}
		if pid, is := strings.CutPrefix(trace, "process "); is {
			dir := "/proc/" + pid
			if before.started(pid) || ofAnotherLab(proc.Read(dir, "cgroup"), lab) {
				continue
			}
			trace += " " + strings.ReplaceAll(proc.Read(dir, "cmdline"), "\x00", " ")
		}
		fresh = append(fresh, trace)
	}
	return fresh
}

// started tells whether the process has ended, or descends from a recorded one other than the machine's
// first.
func (traces Traces) started(pid string) bool {
	for pid != "1" && pid != "0" {
		fields := proc.Stat("/proc/" + pid)
		if len(fields) < 2 || fields[0] == "Z" || traces["process "+pid] {
			return true
		}
		pid = fields[1]
	}
	return false
}

var labTrace = regexp.MustCompile(`(?:sk3s-|/stateful-k3s/|/\.lab/)([a-z0-9]+)`)

func ofAnotherLab(trace, lab string) bool {
	for _, match := range labTrace.FindAllStringSubmatch(trace, -1) {
		if match[1] != lab {
			return true
		}
	}
	return false
}

// WithoutFiles leaves out the files of the lab's directories.
func WithoutFiles(traces []string, lab string) []string {
	var rest []string
	for _, trace := range traces {
		if !strings.HasPrefix(trace, "file "+filepath.Join(Root, lab)) &&
			!strings.HasPrefix(trace, "file "+filepath.Join(Checkout, ".lab", lab)) {
			rest = append(rest, trace)
		}
	}
	return rest
}
