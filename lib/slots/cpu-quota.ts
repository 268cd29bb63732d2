// Reads how many CPUs the control groups of this process allow it: the smallest
// quota of its own group and of all groups above. Linux only. See cgroups(7),
// and in the documentation of the kernel admin-guide/cgroup-v2 (cpu.max) and
// scheduler/sched-bwc (cpu.cfs_quota_us).
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Infinity when there is no quota. Tests pass another root directory. */
export function cpuQuota(root = '/'): number {
  const mounts = read(root, '/proc/self/mountinfo').split('\n').map(parseMount);
  const groups = read(root, '/proc/self/cgroup').split('\n').map(parseGroup);
  let least = Infinity;
  for (const mount of mounts) {
    const version = versions.find((candidate) => candidate.isFor(mount));
    const group = groups.find(({ controllers }) => version?.owns(controllers));
    if (version === undefined || group === undefined) continue;
    for (const folder of foldersAbove(mount, group.path)) {
      least = Math.min(least, version.quota(join(root, folder)));
    }
  }
  return least;
}

interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

interface CgroupVersion {
  isFor(mount: Mount): boolean;
  /** Whether a line of /proc/self/cgroup is about the mount. */
  owns(controllers: readonly string[]): boolean;
  quota(folder: string): number;
}

const versions: readonly CgroupVersion[] = [
  {
    isFor: ({ type }) => type === 'cgroup2',
    owns: (controllers) => controllers.length === 0,
    quota: (folder) => {
      const [time, period] = read(folder, 'cpu.max').split(' ');
      return ratio(time, period);
    },
  },
  {
    isFor: ({ type, options }) => type === 'cgroup' && options.includes('cpu'),
    owns: (controllers) => controllers.includes('cpu'),
    quota: (folder) =>
      ratio(
        read(folder, 'cpu.cfs_quota_us'),
        read(folder, 'cpu.cfs_period_us'),
      ),
  },
];

/** Without a quota, the time is 'max' or -1 or the file does not exist. */
function ratio(time: string | undefined, period: string | undefined): number {
  const cpus = Number(time) / Number(period);
  return cpus > 0 ? cpus : Infinity;
}

/** The folders of the process's group and of all visible groups above it. */
function foldersAbove({ root, point }: Mount, group: string): string[] {
  const below = relative(root, group);
  // The group may be outside of the mount, as in a container.
  const names = below.split('/').filter((name) => name !== '');
  if (names.includes('..')) return [point];
  return Array.from({ length: names.length + 1 }, (_, depth) =>
    join(point, ...names.slice(0, names.length - depth)),
  );
}

/** Parses a line of proc_pid_mountinfo(5). */
function parseMount(line: string): Mount {
  const [front = '', back = ''] = line.split(' - ');
  const [, , , root = '', point = ''] = front.split(' ').map(unescape);
  const [type = '', , options = ''] = back.split(' ');
  return { root, point, type, options: options.split(',') };
}

// In mountinfo, a space in a path is \040.
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, code: string) =>
    String.fromCharCode(parseInt(code, 8)),
  );
}

/** Parses a line of /proc/self/cgroup; version 2 lists no controllers. */
function parseGroup(line: string): { controllers: string[]; path: string } {
  const [, list, path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
  if (list === undefined) return { controllers: ['none'], path };
  return { controllers: list.split(',').filter(Boolean), path };
}

/** The text of a file; '' when it cannot be read. */
function read(folder: string, file: string): string {
  try {
    return readFileSync(join(folder, file), 'utf8').trim();
  } catch {
    // The system is not Linux, or the controller is missing or not visible.
    return '';
  }
}
