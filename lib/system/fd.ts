// The owner of a descriptor. A bare number is only borrowed for a call.
import { check, native } from './binding.js';

// Those that a fork of this process has no business with.
const ownFds = new Set<Fd>();

export class Fd {
  #number: number;

  constructor(number: number) {
    this.#number = number;
    if (number >= 0) ownFds.add(this);
  }

  /** -1 once closed or taken. */
  get number(): number {
    return this.#number;
  }

  /** May be called twice. */
  close(): void {
    if (this.#number < 0) return;
    const number = this.#number;
    this.#number = -1;
    ownFds.delete(this);
    native.close(number);
  }

  /** For what forks share with their parent. */
  keepInForks(): this {
    ownFds.delete(this);
    return this;
  }
}

/** In a forked child: nobody waits on what it has inherited. */
export function closeInherited(but: number): void {
  for (const fd of ownFds) if (fd.number !== but) fd.close();
}

/** An owner of a duplicate; `fd` is borrowed. */
export function duplicate(fd: number): Fd {
  return new Fd(check(native.dup(fd), 'duplicate an fd'));
}

export interface Pipe {
  readonly reader: Fd;
  readonly writer: Fd;
}

export function openPipe(role: string): Pipe {
  const ends = new Int32Array(2);
  check(native.pipe(ends), `open ${role}`);
  return { reader: new Fd(ends[0]!), writer: new Fd(ends[1]!) };
}
