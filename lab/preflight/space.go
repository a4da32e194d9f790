package preflight

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Space is the free disk, in gigabytes, that directories need. They may not exist yet.
type Space map[string]uint64

// SpaceFor returns the space for a lab's files, and for the compiler's caches if tools have to be compiled.
// An existing lab has most of its files. newAgents is how many nodes are new, besides the first: each gets
// images of its own. With less than 1 GB Kubernetes starts no pods.
func SpaceFor(compile bool, cache, state string, exists bool, newAgents int) Space {
	space := Space{state: 5}
	if exists {
		space[state] = 2
	}
	space[state] += uint64(newAgents)
	if compile {
		space[cache] += 20
	}
	return space
}

const gigabyte = 1 << 30

// check adds up the needs on each file system, and returns an error for each that has less.
func (s Space) check() []error {
	type fileSystem struct {
		dirs       []string
		need, free uint64
	}
	all := map[uint64]*fileSystem{}
	for _, dir := range slices.Sorted(maps.Keys(s)) {
		device, free := fileSystemOf(dir)
		if all[device] == nil {
			all[device] = &fileSystem{free: free}
		}
		all[device].dirs = append(all[device].dirs, dir)
		all[device].need += s[dir]
	}
	var errs []error
	for _, device := range slices.Sorted(maps.Keys(all)) {
		if f := all[device]; f.free < f.need*gigabyte {
			free := float64(f.free) / gigabyte
			errs = append(errs, fmt.Errorf(
				"there are %.1f GB free for %s, and %d GB are needed: free %.1f GB, or put it on another disk",
				free, strings.Join(f.dirs, " and "), f.need, float64(f.need)-free))
		}
	}
	return errs
}

// fileSystemOf returns the device and the free bytes of a directory, or of its closest parent that exists.
func fileSystemOf(dir string) (device, free uint64) {
	for {
		var file unix.Stat_t
		var system unix.Statfs_t
		if unix.Stat(dir, &file) == nil && unix.Statfs(dir, &system) == nil {
			return file.Dev, system.Bavail * uint64(system.Bsize)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return 0, 0
		}
		dir = parent
	}
}
