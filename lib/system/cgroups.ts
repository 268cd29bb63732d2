// Finds the control groups of this process. Linux only. See cgroups(7).
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** What a control group says of one controller. */
export interface Group {
  readonly version: 1 | 2;
  /** The text of one of its files; '' when it cannot be read. */
  readonly read: (file: string) => string;
}

/**
 * The group of this process, and all visible groups above it. None where the system
 * has no such controller. `root`: another root directory, for tests.
 */
export function groupsOf(controller: 'cpu' | 'memory', root: string): Group[] {
  const mounts = read(root, '/proc/self/mountinfo').split('\n').map(parseMount);
  const lines = read(root, '/proc/self/cgroup').split('\n').map(parseGroup);
  const groups: Group[] = [];
  for (const mount of mounts) {
    const version = versionOf(mount, controller);
    if (version === undefined) continue;
    const line = lines.find(({ controllers }) =>
      version === 2
        ? controllers.length === 0
        : controllers.includes(controller),
    );
    if (line === undefined) continue;
    for (const folder of foldersAbove(mount, line.path)) {
      groups.push({ version, read: (file) => read(join(root, folder), file) });
    }
  }
  return groups;
}

interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

function versionOf(
  { type, options }: Mount,
  controller: string,
): 1 | 2 | undefined {
  if (type === 'cgroup2') return 2;
  return type === 'cgroup' && options.includes(controller) ? 1 : undefined;
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
