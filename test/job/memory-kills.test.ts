import { MemoryKills } from '../../dist/job/memory-kills.js';
import { useFolder, writeFiles } from '../helpers/folder.js';

const root = useFolder();
const write = (files: Record<string, string>): void => {
  writeFiles(root(), files);
};

test.each([
  [
    'version 2',
    '30 22 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw',
    '0::/job',
    'sys/fs/cgroup/job/memory.events',
    'low 0\nhigh 3\nmax 7\noom 1\n',
  ],
  [
    'version 1',
    '31 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '4:memory:/job\n0::/',
    'sys/fs/cgroup/memory/job/memory.oom_control',
    'oom_kill_disable 0\nunder_oom 0\n',
  ],
  [
    'both versions',
    '30 22 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n' +
      '31 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '4:memory:/job\n0::/job',
    'sys/fs/cgroup/memory/job/memory.oom_control',
    'oom_kill_disable 0\nunder_oom 0\n',
  ],
])(
  'a process that the kernel has killed is seen once: %s',
  (_, mount, group, file, text) => {
    const count = (kills: number): void => {
      write({ [file]: `${text}oom_kill ${kills}\n` });
    };
    write({ 'proc/self/mountinfo': mount, 'proc/self/cgroup': group });
    count(2);
    const kills = new MemoryKills(root());
    expect(kills.isNew()).toBe(false);
    count(3);
    expect(kills.isNew()).toBe(true);
    expect(kills.isNew()).toBe(false);
  },
);

test('nothing is seen where no control group counts them', () => {
  const kills = new MemoryKills(root());
  expect(kills.isNew()).toBe(false);
});
