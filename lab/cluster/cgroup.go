package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// hierarchy is a mounted tree of cgroups. Version 2 has one, version 1 has one per set of controllers.
type hierarchy struct {
	// controllers is as in /proc/self/cgroup, such as "cpu,cpuacct" or "name=systemd"; empty for version 2.
	controllers string
	mountPoint  string
}

// cgroupHierarchies lists the mounted trees. See cgroups(7).
func cgroupHierarchies() ([]hierarchy, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []hierarchy
	for _, line := range strings.Split(strings.TrimSpace(string(groups)), "\n") {
		controllers := strings.SplitN(line, ":", 3)[1]
		if point := cgroupMountPoint(string(mounts), controllers); point != "" {
			found = append(found, hierarchy{controllers: controllers, mountPoint: point})
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no cgroups are mounted below %s", cgroupRoot)
	}
	return found, nil
}

func cgroupMountPoint(mountinfo, controllers string) string {
	for _, line := range strings.Split(mountinfo, "\n") {
		before, after, ok := strings.Cut(line, " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(types) < 3 || !strings.HasPrefix(fields[4], cgroupRoot) {
			continue
		}
		if controllers == "" {
			if types[0] == "cgroup2" {
				return fields[4]
			}
			continue
		}
		options := strings.Split(types[2], ",")
		if types[0] == "cgroup" && !slices.ContainsFunc(strings.Split(controllers, ","),
			func(c string) bool { return !slices.Contains(options, c) }) {
			return fields[4]
		}
	}
	return ""
}

// join creates the group in the tree, and moves this process into it.
func (h hierarchy) join(group string) error {
	dir := h.mountPoint
	for _, part := range strings.Split(group, "/") {
		parent := dir
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if h.controllers == "" {
			if err := delegate(parent); err != nil {
				return err
			}
		}
		if strings.Contains(h.controllers, "cpuset") {
			if err := inherit(parent, dir, "cpuset.cpus", "cpuset.mems"); err != nil {
				return err
			}
		}
	}
	return enterCgroup(dir)
}

// enterCgroup moves this process, which 0 stands for, into a group.
func enterCgroup(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0)
}

// delegate lets the children of a version 2 group use all of its controllers.
func delegate(dir string) error {
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(controllers)) {
		control := filepath.Join(dir, "cgroup.subtree_control")
		if err := os.WriteFile(control, []byte("+"+controller), 0); err != nil {
			return fmt.Errorf("delegating %s below %s: %w", controller, dir, err)
		}
	}
	return nil
}

// inherit fills in a new cpuset, so that processes can join it.
func inherit(parent, dir string, files ...string) error {
	for _, file := range files {
		value, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), value, 0); err != nil {
			return err
		}
	}
	return nil
}

// remountCgroups mounts the trees of a new cgroup namespace in place of the machine's.
func remountCgroups(hierarchies []hierarchy) error {
	if err := unix.Unmount(cgroupRoot, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmounting %s: %w", cgroupRoot, err)
	}
	if len(hierarchies) == 1 && hierarchies[0].controllers == "" {
		if err := mountAll([]mount{{source: "cgroup2", target: cgroupRoot, kind: "cgroup2"}}); err != nil {
			return err
		}
		// Only a group without processes can delegate its controllers.
		init := filepath.Join(cgroupRoot, "init")
		if err := os.Mkdir(init, 0o755); err != nil {
			return err
		}
		if err := enterCgroup(init); err != nil {
			return err
		}
		return delegate(cgroupRoot)
	}
	if err := mountAll([]mount{{source: "tmpfs", target: cgroupRoot, kind: "tmpfs",
		data: "mode=755"}}); err != nil {
		return err
	}
	for _, h := range hierarchies {
		if err := os.Mkdir(h.mountPoint, 0o755); err != nil {
			return err
		}
		m := mount{source: "cgroup", target: h.mountPoint, kind: "cgroup", data: h.controllers}
		switch {
		case h.controllers == "":
			m.source, m.kind = "cgroup2", "cgroup2"
		case strings.HasPrefix(h.controllers, "name="):
			m.data = "none," + h.controllers
		}
		if err := mountAll([]mount{m}); err != nil {
			return err
		}
	}
	return nil
}

// cgroupDirs lists a group and the groups below it, the deepest first.
func cgroupDirs(h hierarchy, group string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(filepath.Join(h.mountPoint, group),
		func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	slices.Reverse(dirs)
	return dirs, err
}

// awaitCgroupsGone removes a group and the groups below it. They stay busy for a moment after their last
// process.
func awaitCgroupsGone(ctx context.Context, group string) error {
	err := poll(ctx, "for the last processes of "+group, 10*time.Second,
		func() error { return removeCgroups(group) })
	if err != nil {
		return fmt.Errorf("removing the cgroups of %s: %w", group, err)
	}
	return nil
}

func removeCgroups(group string) error {
	hierarchies, err := cgroupHierarchies()
	if err != nil {
		return err
	}
	for _, h := range hierarchies {
		dirs, err := cgroupDirs(h, group)
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
