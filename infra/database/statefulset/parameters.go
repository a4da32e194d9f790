package statefulset

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/pairs"
)

// Parameters cannot replace the parameters in postgresql.conf and the archive's. They can replace the sized
// ones.
//
//go:embed postgresql.conf
var ownParameters string

// Parameters are lines of the server's configuration file: values by name.
// Source: https://www.postgresql.org/docs/17/runtime-config.html
type Parameters map[string]string

var (
	parameterName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)
	// They are not in postgresql.conf, where they would be wrong or are no parameters.
	forbidden = []string{"config_file", "include", "include_dir", "include_if_exists"}
)

// ParseParameters reads name=value pairs with semicolons between them. Spaces around them do not count.
func ParseParameters(text string) (Parameters, error) {
	parameters, err := pairs.Parse(text)
	if err != nil {
		return nil, err
	}
	return parameters, Parameters(parameters).check()
}

func (p Parameters) check() error {
	own := slices.Concat(regexp.MustCompile(`(?m)^\w+`).FindAllString(ownParameters, -1),
		slices.Collect(maps.Keys((*Archive)(nil).parameters())))
	for _, name := range slices.Sorted(maps.Keys(p)) {
		switch {
		case !parameterName.MatchString(name):
			return fmt.Errorf("%q is not a parameter's name, in small letters", name)
		case slices.Contains(own, name) || slices.Contains(forbidden, name):
			return fmt.Errorf("%s is not yours to set", name)
		case strings.ContainsFunc(p[name], func(r rune) bool { return r < ' ' }):
			return fmt.Errorf("%s has a control character in its value", name)
		}
	}
	return nil
}

// size matches sizes as Postgres writes them.
var size = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?(B|kB|MB|GB|TB)?$`)

// page is the unit of shared_buffers without one.
const page = 8 * kilobyte

// Connections returns how many connections the server accepts, with a memory limit that is a Kubernetes
// quantity. It fails if the server would not start, as far as the sized parameters tell.
func (p Parameters) Connections(memory string) (int, error) {
	limit, err := parseBytes("Memory", memory)
	if err != nil {
		return 0, err
	}
	all := sizedParameters(limit, gigabyte)
	for _, name := range slices.Sorted(maps.Keys(p)) {
		sized, known := all[name]
		if known && strings.HasSuffix(sized, "kB") && !size.MatchString(p[name]) {
			return 0, fmt.Errorf("%s: %q is not a size such as 64MB", name, p[name])
		}
	}
	maps.Copy(all, p)
	if parts := size.FindStringSubmatch(all["shared_buffers"]); inBytes(parts[1], parts[2]) >= float64(limit) {
		return 0, fmt.Errorf("shared_buffers: %s does not fit into the memory limit of %s", all["shared_buffers"],
			memory)
	}
	connections, err := strconv.Atoi(all["max_connections"])
	if err != nil {
		return 0, fmt.Errorf("max_connections: %q is not a number", all["max_connections"])
	}
	return connections, nil
}

func inBytes(number, unit string) float64 {
	n, _ := strconv.ParseFloat(number, 64)
	return n * map[string]float64{"": page, "B": 1, "kB": kilobyte, "MB": megabyte, "GB": gigabyte,
		"TB": 1 << 40}[unit]
}

// lines returns the lines of the configuration file.
func (p Parameters) lines() string {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&lines, "%s = '%s'\n", name, strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(p[name]))
	}
	return lines.String()
}

const (
	kilobyte = 1 << 10
	megabyte = 1 << 20
	gigabyte = 1 << 30
)

// sizedParameters returns the parameters that depend on the memory limit and the volume's size, both in
// bytes. Shared buffers get a quarter of the memory, sorts and hashes of all connections together another
// quarter; connections, maintenance and the page cache share the rest. The write-ahead log takes at most a
// quarter of the volume.
func sizedParameters(memory, storage int64) Parameters {
	connections := clamp(memory/(4*megabyte), 20, 500)
	wal := clamp(min(2*memory, storage/4), 64*megabyte, 16*gigabyte)
	kB := func(bytes int64) string { return fmt.Sprintf("%dkB", bytes/kilobyte) }
	return Parameters{
		"max_connections":      fmt.Sprint(connections),
		"shared_buffers":       kB(memory / 4),
		"effective_cache_size": kB(memory / 4 * 3),
		"work_mem":             kB(max(memory/4/connections, 64*kilobyte)),
		"maintenance_work_mem": kB(clamp(memory/16, 1*megabyte, 1*gigabyte)),
		"min_wal_size":         kB(max(wal/4, 32*megabyte)),
		"max_wal_size":         kB(wal),
	}
}

func clamp(value, least, most int64) int64 { return max(least, min(value, most)) }

// parseBytes reads a Kubernetes quantity.
func parseBytes(name, quantity string) (int64, error) {
	q, err := resource.ParseQuantity(quantity)
	if err != nil {
		return 0, fmt.Errorf("reading %s %q: %w", name, quantity, err)
	}
	return q.Value(), nil
}

// Sized returns the parameters that depend on memory and storage.
func (s *Settings) Sized() (Parameters, error) {
	memory, err := parseBytes("Memory", s.Memory)
	if err != nil {
		return nil, err
	}
	storage, err := parseBytes("StorageSize", s.StorageSize)
	if err != nil {
		return nil, err
	}
	return sizedParameters(memory, storage), nil
}

// serverConfig returns the server's configuration file. Of several lines for a parameter the last counts.
func (a *Args) serverConfig() (string, error) {
	sized, err := a.Sized()
	if err != nil {
		return "", err
	}
	if err := a.Parameters.check(); err != nil {
		return "", fmt.Errorf("parameters: %w", err)
	}
	config := ownParameters + "\n# What archives the log\n" + a.Archive.parameters().lines() +
		"\n# From memory and storage\n" + sized.lines()
	if len(a.Parameters) > 0 {
		config += "\n# Settings of the stack\n" + a.Parameters.lines()
	}
	return config, nil
}
