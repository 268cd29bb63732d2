// How much CPU time the control groups of this process leave it, in CPUs: the
// smallest quota of its own group and of all above. Linux only; cgroups(7),
// and of the kernel's documentation admin-guide/cgroup-v2 (cpu.max) and
// scheduler/sched-bwc (cpu.cfs_quota_us).
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Infinity without a quota. `root` is the root of the file system. */
export function cpuQuota(root = '/'): number {
  const mounts = read(root, '/proc/self/mountinfo').split('\n').map(parseMount);
  const groups = read(root, '/proc/self/cgroup').split('\n').map(parseGroup);
  let least = Infinity;
  for (const mount of mounts) {
    const kind = kinds.find((candidate) => candidate.isFor(mount));
    const group = groups.find(({ controllers }) => kind?.owns(controllers));
    if (kind === undefined || group === undefined) continue;
    for (const folder of foldersAbove(mount, group.path)) {
      least = Math.min(least, kind.quota(join(root, folder)));
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

interface Kind {
  isFor(mount: Mount): boolean;
  owns(controllers: readonly string[]): boolean;
  quota(folder: string): number;
}

const kinds: readonly Kind[] = [
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

/** Without a quota the time is 'max' or -1, or there is no such file. */
function ratio(time: string | undefined, period: string | undefined): number {
  const cpus = Number(time) / Number(period);
  return cpus > 0 ? cpus : Infinity;
}

/** From the group of the process up to the outermost that can be seen. */
function foldersAbove({ root, point }: Mount, group: string): string[] {
  const below = relative(root, group);
  // A group outside of what is mounted here, as in a container.
  const names = below.split('/').filter((name) => name !== '');
  if (names.includes('..')) return [point];
  return Array.from({ length: names.length + 1 }, (_, depth) =>
    join(point, ...names.slice(0, names.length - depth)),
  );
}

/** A line of proc_pid_mountinfo(5). */
function parseMount(line: string): Mount {
  const [front = '', back = ''] = line.split(' - ');
  const [, , , root = '', point = ''] = front.split(' ').map(unescape);
  const [type = '', , options = ''] = back.split(' ');
  return { root, point, type, options: options.split(',') };
}

// A blank in a path is \040 there.
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, code: string) =>
    String.fromCharCode(parseInt(code, 8)),
  );
}

/** A line of /proc/self/cgroup; version 2 has no controllers there. */
function parseGroup(line: string): { controllers: string[]; path: string } {
  const [, list, path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
  if (list === undefined) return { controllers: ['none'], path };
  return { controllers: list.split(',').filter(Boolean), path };
}

/** Empty where it cannot be read. */
function read(folder: string, file: string): string {
  try {
    return readFileSync(join(folder, file), 'utf8').trim();
  } catch {
    // No Linux, no such controller, or nothing of it that may be seen.
    return '';
  }
}
