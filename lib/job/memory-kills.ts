// Whether the kernel has ended a job because memory ran out: it counts, for each
// control group, the processes that it has killed for that. See in the documentation
// of the kernel admin-guide/cgroup-v2 (memory.events) and admin-guide/cgroup-v1/memory
// (memory.oom_control).
import { groupsOf } from '../system/cgroups.js';

export class MemoryKills {
  readonly #root: string;
  #count: number;

  /** Tests pass another root directory. */
  constructor(root = '/') {
    this.#root = root;
    this.#count = countIn(root);
  }

  /** Whether there were any since the last call, or since this was made. */
  isNew(): boolean {
    const before = this.#count;
    this.#count = countIn(this.#root);
    return this.#count > before;
  }
}

function countIn(root: string): number {
  // Where both versions are mounted, one of them has the controller.
  for (const { version, read } of groupsOf('memory', root)) {
    const text = read(version === 2 ? 'memory.events' : 'memory.oom_control');
    const count = /^oom_kill (\d+)$/m.exec(text)?.[1];
    if (count !== undefined) return Number(count);
  }
  return 0;
}

let known: MemoryKills | undefined;

/** Before the first job. */
export function watchMemoryKills(): void {
  known ??= new MemoryKills();
}

/** For a job that SIGKILL has ended. */
export function whyKilled(): string | undefined {
  if (known?.isNew() !== true) return undefined;
  return 'most likely by the kernel, because its control group ran out of memory';
}
