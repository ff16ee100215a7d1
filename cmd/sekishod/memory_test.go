package main

import (
	"testing"
	"testing/fstest"
)

// TestAvailableMemory: the lowest limit that is anywhere around the process counts.
func TestAvailableMemory(t *testing.T) {
	const gib = 1 << 30
	machine := "MemTotal:       25165824 kB\nMemFree: 1 kB\n" // 24 GiB
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing known": {nil, unknownMemory},
		"a machine":     {map[string]string{"proc/meminfo": machine}, 12 * gib},
		"version 2, no limit": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/system.slice/x.service\n", "sys/fs/cgroup/system.slice/x.service/memory.max": "max\n",
		}, 12 * gib},
		"version 2, in the group": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "5368709120\n", "sys/fs/cgroup/a/memory.max": "max\n",
		}, 4 * gib},
		"version 2, around the group": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "10737418240\n", "sys/fs/cgroup/a/memory.max": "5368709120\n",
		}, 4 * gib},
		"version 2, in a container": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "5368709120\n",
		}, 4 * gib},
		"version 1, named as outside": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/docker/1234\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "5368709120\n",
		}, 4 * gib},
		"version 1, no limit": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 12 * gib},
		"next to nothing": {map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "67108864\n",
		}, leastMemory},
		"nonsense": {map[string]string{
			"proc/meminfo": "MemTotal: lots\n", "proc/self/cgroup": "x\n", "sys/fs/cgroup/memory.max": "-5\n",
		}, unknownMemory},
	} {
		root := fstest.MapFS{}
		for name, text := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := available(root); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}
