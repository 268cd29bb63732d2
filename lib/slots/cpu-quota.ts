// Reads how many CPUs the control groups of this process allow it: the smallest
// quota of its own group and of all groups above. Linux only. See in the
// documentation of the kernel admin-guide/cgroup-v2 (cpu.max) and
// scheduler/sched-bwc (cpu.cfs_quota_us).
import { type Group, groupsOf } from '../system/cgroups.js';

/** Infinity when there is no quota. Tests pass another root directory. */
export function cpuQuota(root = '/'): number {
  return Math.min(Infinity, ...groupsOf('cpu', root).map(quotaOf));
}

function quotaOf(group: Group): number {
  const [time, period] =
    group.version === 2
      ? group.read('cpu.max').split(' ')
      : [group.read('cpu.cfs_quota_us'), group.read('cpu.cfs_period_us')];
  // Without a quota, the time is 'max' or -1 or the file does not exist.
  const cpus = Number(time) / Number(period);
  return cpus > 0 ? cpus : Infinity;
}
