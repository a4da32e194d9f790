package preflight

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Space is the free disk that directories must have, in gigabytes. They may not exist yet.
type Space map[string]uint64

// SpaceFor is what a lab needs: its own files, of which one that was made before has most, and where tools
// have to be compiled, the caches of the compiler, which go afterwards. With less than 1 GB Kubernetes starts
// no pods.
func SpaceFor(compile bool, cache, state string, made bool) Space {
	space := Space{state: 5}
	if made {
		space[state] = 2
	}
	if compile {
		space[cache] += 20
	}
	return space
}

const gigabyte = 1 << 30

// lacking adds up what is needed on each file system, and says which have less.
func (s Space) lacking() []error {
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

// fileSystemOf looks at the closest parent that exists, and returns its device and the free space in bytes.
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
