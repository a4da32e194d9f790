package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

const (
	version1 = `24 23 0:21 / /sys/fs/cgroup rw shared:4 - tmpfs tmpfs rw,mode=755
25 24 0:22 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct
26 24 0:23 / /sys/fs/cgroup/systemd rw shared:6 - cgroup cgroup rw,xattr,name=systemd
27 24 0:24 / /sys/fs/cgroup/unified rw shared:7 - cgroup2 cgroup2 rw`
	version2 = `24 23 0:21 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate`
)

func TestEachHierarchyIsFoundWhereItIsMounted(t *testing.T) {
	for _, c := range []struct{ mountinfo, controllers, want string }{
		{version1, "cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"},
		{version1, "name=systemd", "/sys/fs/cgroup/systemd"},
		{version1, "", "/sys/fs/cgroup/unified"},
		{version1, "cpu,memory", ""},
		{version2, "", "/sys/fs/cgroup"},
		{version2, "memory", ""},
	} {
		assert.Equal(t, c.want, cgroupMountPoint(c.mountinfo, c.controllers), c.controllers)
	}
}
