import { cpuQuota } from '../../dist/slots/cpu-quota.js';
import { useFolder, writeFiles } from '../helpers/folder.js';

const root = useFolder();
const write = (files: Record<string, string>): void => {
  writeFiles(root(), files);
};

const mountV2 = (from: string, at: string): string =>
  `30 22 0:27 ${from} ${at} rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate`;
const mountV1 = (at: string, controllers: string): string =>
  `31 30 0:28 / ${at} rw,relatime - cgroup cgroup rw,${controllers}`;

describe('the CPU quota', () => {
  test('is infinite without control groups', () => {
    expect(cpuQuota(root())).toBe(Infinity);
    write({ 'proc/self/mountinfo': '', 'proc/self/cgroup': '' });
    expect(cpuQuota(root())).toBe(Infinity);
    expect(cpuQuota()).toBeGreaterThan(0);
  });

  test.each([
    ['150000 100000', 1.5],
    ['25000 100000', 0.25],
    ['max 100000', Infinity],
    ['nonsense', Infinity],
    ['0 0', Infinity],
  ])('of version 2 is read from cpu.max: %s means %d', (text, cpus) => {
    write({
      'proc/self/mountinfo': mountV2('/', '/sys/fs/cgroup'),
      'proc/self/cgroup': '0::/job',
      'sys/fs/cgroup/job/cpu.max': text,
    });
    expect(cpuQuota(root())).toBe(cpus);
  });

  test('is the smallest of the own group and all groups above', () => {
    write({
      'proc/self/mountinfo': mountV2('/', '/sys/fs/cgroup'),
      'proc/self/cgroup': '0::/outer/middle/inner',
      'sys/fs/cgroup/cpu.max': '50000 10000',
      'sys/fs/cgroup/outer/cpu.max': '40000 10000',
      'sys/fs/cgroup/outer/middle/cpu.max': '30000 10000',
      'sys/fs/cgroup/outer/middle/inner/cpu.max': 'max 10000',
      'sys/fs/cgroup/other/cpu.max': '10000 10000',
    });
    expect(cpuQuota(root())).toBe(3);
  });

  test.each(['cpu', 'cpu,cpuacct'])(
    'of version 1 is read from the mount of the controller: %s',
    (names) => {
      write({
        'proc/self/mountinfo': [
          mountV1('/sys/fs/cgroup/memory', 'memory'),
          mountV1(`/sys/fs/cgroup/${names}`, names),
          mountV2('/', '/sys/fs/cgroup/unified'),
        ].join('\n'),
        'proc/self/cgroup': `3:memory:/docker\n2:${names}:/docker/x\n0::/`,
        [`sys/fs/cgroup/${names}/docker/cpu.cfs_quota_us`]: '200000',
        [`sys/fs/cgroup/${names}/docker/cpu.cfs_period_us`]: '100000',
        [`sys/fs/cgroup/${names}/docker/x/cpu.cfs_quota_us`]: '-1',
        [`sys/fs/cgroup/${names}/docker/x/cpu.cfs_period_us`]: '100000',
      });
      expect(cpuQuota(root())).toBe(2);
    },
  );

  test('is read in a container, whose group is the root of the mount', () => {
    write({
      'proc/self/mountinfo': mountV2('/docker/abc', '/sys/fs/cgroup'),
      'proc/self/cgroup': '0::/docker/abc/below',
      'sys/fs/cgroup/cpu.max': '200000 100000',
      'sys/fs/cgroup/below/cpu.max': '300000 100000',
    });
    expect(cpuQuota(root())).toBe(2);
  });

  test('is that of the mount when the own group is outside of it', () => {
    write({
      'proc/self/mountinfo': mountV2('/', '/sys/fs/cgroup'),
      'proc/self/cgroup': '0::/../outside',
      'sys/fs/cgroup/cpu.max': '200000 100000',
    });
    expect(cpuQuota(root())).toBe(2);
  });

  test('is read from a mount point with a space in its name', () => {
    write({
      'proc/self/mountinfo': mountV2('/', String.raw`/a\040mount`),
      'proc/self/cgroup': '0::/',
      'a mount/cpu.max': '100000 100000',
    });
    expect(cpuQuota(root())).toBe(1);
  });
});
