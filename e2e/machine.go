package e2e

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
)

// machine is what there is on this machine that a lab could leave behind, each thing in a line of its own.
type machine map[string]bool

// lookAround records processes, namespaces, mounts, interfaces, packet filters, control groups and files.
func lookAround(t *testing.T) machine {
	t.Helper()
	m := machine{}
	m.add("process", func(yield func(string)) {
		for _, process := range findProcesses(func(string) bool { return true }) {
			yield(strconv.Itoa(process))
		}
	})
	m.add("mount", func(yield func(string)) {
		for line := range strings.Lines(read("/proc/self", "mountinfo")) {
			fields := strings.Fields(line)
			yield(fields[4] + " " + fields[3]) // where, and what part of the source
		}
	})
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	m.add("interface", func(yield func(string)) {
		for _, i := range interfaces {
			yield(i.Name)
		}
	})
	counters := regexp.MustCompile(`^#|\[\d+:\d+\]`)
	for _, command := range [][]string{{"iptables-save"}, {"ip6tables-save"}, {"nft", "list", "tables"},
		{"ip", "route"}, {"ipset", "list", "-name"}} {
		output, err := exec.Command(command[0], command[1:]...).Output()
		require.NoError(t, err, "%v", command)
		m.add(command[0], func(yield func(string)) {
			for line := range strings.Lines(string(output)) {
				if !strings.HasPrefix(line, "#") {
					yield(strings.TrimSpace(counters.ReplaceAllString(line, "")))
				}
			}
		})
	}
	for _, root := range []string{"/sys/fs/cgroup", "/etc", "/opt", "/run", "/srv", "/usr/local/bin",
		"/var/lib", "/var/log", filepath.Join(checkout, ".lab")} {
		m.add("file", func(yield func(string)) {
			_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && (entry.IsDir() || root != "/sys/fs/cgroup") {
					yield(path)
				}
				return nil // what disappears meanwhile is not there
			})
		})
	}
	return m
}

func (m machine) add(kind string, all func(yield func(string))) {
	all(func(thing string) { m[kind+" "+thing] = true })
}

// since lists what was not there before. Processes count that no process from before has started, as a lab's
// daemons are; other labs do not count.
func (m machine) since(before machine, lab string) []string {
	var fresh []string
	for thing := range m {
		if before[thing] || ofAnotherLab(thing, lab) {
			continue
		}
		if pid, is := strings.CutPrefix(thing, "process "); is {
			if before.started(pid) || ofAnotherLab(read(filepath.Join("/proc", pid), "cgroup"), lab) {
				continue
			}
			thing += " " + strings.ReplaceAll(read(filepath.Join("/proc", pid), "cmdline"), "\x00", " ")
		}
		fresh = append(fresh, thing)
	}
	return fresh
}

// started says whether a process of the record, other than the machine's first, is an ancestor of this one,
// or it has ended.
func (m machine) started(pid string) bool {
	for pid != "1" && pid != "0" {
		fields := stat(filepath.Join("/proc", pid))
		if len(fields) < 2 || fields[0] == "Z" || m["process "+pid] {
			return true
		}
		pid = fields[1]
	}
	return false
}

var labTrace = regexp.MustCompile(`(?:sk3s-|/stateful-k3s/|/\.lab/)([a-z0-9]+)`)

func ofAnotherLab(thing, lab string) bool {
	for _, match := range labTrace.FindAllStringSubmatch(thing, -1) {
		if match[1] != lab {
			return true
		}
	}
	return false
}

// withoutFiles leaves out what lies in the lab's directory and the checkout's.
func withoutFiles(things []string, lab string) []string {
	var rest []string
	for _, thing := range things {
		if !strings.HasPrefix(thing, "file /var/lib/stateful-k3s/"+lab) &&
			!strings.HasPrefix(thing, "file "+filepath.Join(checkout, ".lab", lab)) {
			rest = append(rest, thing)
		}
	}
	return rest
}
