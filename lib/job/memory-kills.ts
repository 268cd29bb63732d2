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
  const [own] = groupsOf('memory', root);
  if (own === undefined) return 0;
  const file = own.version === 2 ? 'memory.events' : 'memory.oom_control';
  return Number(/^oom_kill (\d+)$/m.exec(own.read(file))?.[1] ?? 0);
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
