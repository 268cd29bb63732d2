// The job server of a make that this process runs under, as two fds for a
// SlotPipe and the slot that make has already given to this process. The fds
// are descriptions of our own: make, and whoever else has inherited its pipe,
// shares the status flags of the one that it handed down. What cannot be used
// costs a warning, never an error.
import {
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { check, native } from '../system/binding.js';
import { Fd, type Pipe, openPipe } from '../system/fd.js';
import { parseMakeflags } from './make-flags.js';

const { O_NOCTTY, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

export interface MakeSlots extends Pipe {
  readonly ownSlot: MakeOwnSlot | undefined;
}

/** Why a job server cannot be used; nobody outside sees one. */
class Unusable extends Error {}

/**
 * The slots of the make that MAKEFLAGS names, for the caller to close; 1 where
 * make wants one job at a time; undefined without a job server of use.
 */
export function joinMake(
  makeflags: string | undefined,
): MakeSlots | 1 | undefined {
  const style = parseMakeflags(makeflags ?? '');
  switch (style.kind) {
    case 'none':
      return undefined;
    case 'serial':
      return 1;
    case 'disabled':
      warn(style.word, `make keeps it from this recipe; ${plus}`, 'one slot');
      return 1;
    case 'unknown':
      warn(style.word, 'it is of an unknown kind', ownCount);
      return undefined;
    case 'fifo':
      return tryJoin(style.word, () => openFifo(style.path));
    case 'pipe':
      return tryJoin(style.word, () =>
        openInherited(style.reader, style.writer),
      );
  }
}

function tryJoin(word: string, open: () => Pipe): MakeSlots | undefined {
  try {
    return withOwnSlot(open());
  } catch (error) {
    warn(word, (error as Error).message, ownCount);
    return undefined;
  }
}

const plus =
  "put '+' in front of the line of the recipe that starts this program";
const ownCount = 'slots of its own';

let hasWarned = false;

function warn(word: string, why: string, instead: string): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(
    `The job server that MAKEFLAGS names by ${word} cannot be used: ${why}. ` +
      `This process uses ${instead} instead`,
    { type: 'JobserverWarning', code: 'JOBSERVER_NO_MAKE' },
  );
}

function openFifo(path: string): Pipe {
  // Reader first: without one, opening the other end would fail or wait.
  return openEnds(path, path, (reader) => {
    // Only what hands out bytes may be read and written as if it were tokens.
    const stats = fstatSync(reader);
    if (stats.isFIFO() || stats.isCharacterDevice()) return;
    throw new Unusable(`${path} is no fifo`);
  });
}

/** Numbers of fds that make has opened, and which stay as they are. */
function openInherited(reader: number, writer: number): Pipe {
  if (process.platform !== 'linux') {
    throw new Unusable(
      `${process.platform} has no way to open an inherited pipe anew; a make ` +
        'of version 4.4 or later has a fifo instead',
    );
  }
  const pipe = pipeAt(reader, O_RDONLY);
  if (pipe !== pipeAt(writer, O_WRONLY)) {
    throw new Unusable(`fds ${reader} and ${writer} are of different pipes`);
  }
  // Without make, these numbers may be those of pipes that Node uses inside of
  // this process; taking a byte from one would hang it at the next signal.
  if (isAnonymous(pipe) && !isHeldByAncestor(pipe)) {
    throw new Unusable(
      `fds ${reader} and ${writer} do not come from a make; ${plus}`,
    );
  }
  return openEnds(fdPath(reader), fdPath(writer));
}

function openEnds(
  readerPath: string,
  writerPath: string,
  checkReader?: (reader: number) => void,
): Pipe {
  const reader = new Fd(openSync(readerPath, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  try {
    checkReader?.(reader.number);
    const writer = new Fd(openSync(writerPath, O_WRONLY | O_NOCTTY));
    return { reader, writer };
  } catch (error) {
    reader.close();
    throw error;
  }
}

function fdPath(fd: number, pid: number | 'self' = 'self'): string {
  return `/proc/${pid}/fd/${fd}`;
}

/** The name of the pipe that fd is an end of. */
function pipeAt(fd: number, mode: number): string {
  try {
    const isPipe = fstatSync(fd).isFIFO();
    if (isPipe && canBeUsed(fd, mode)) return readlinkSync(fdPath(fd));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBADF') throw error;
    throw new Unusable(`fd ${fd} is not open; ${plus}`);
  }
  const end = mode === O_RDONLY ? 'reading' : 'writing';
  throw new Unusable(`fd ${fd} is no pipe open for ${end}; ${plus}`);
}

// Opening through /proc would give the other end as readily.
function canBeUsed(fd: number, mode: number): boolean {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  const flags = parseInt(/^flags:\s*([0-7]+)/m.exec(info)![1]!, 8);
  const access = flags & (O_WRONLY | constants.O_RDWR);
  return access === mode || access === constants.O_RDWR;
}

function isAnonymous(pipe: string): boolean {
  return pipe.startsWith('pipe:');
}

/** A make that lives has its ends open, and is an ancestor of its recipes. */
function isHeldByAncestor(pipe: string): boolean {
  let pid = process.ppid;
  while (pid > 0) {
    if (holds(pid, pipe)) return true;
    pid = parentOf(pid);
  }
  return false;
}

function holds(pid: number, pipe: string): boolean {
  try {
    const fds = readdirSync(`/proc/${pid}/fd`);
    return fds.some((fd) => isLinkTo(fdPath(Number(fd), pid), pipe));
  } catch {
    // Of another user: it tells nothing, and its own parent may.
    return false;
  }
}

function isLinkTo(path: string, target: string): boolean {
  try {
    return readlinkSync(path) === target;
  } catch {
    // Closed since the directory was read.
    return false;
  }
}

function parentOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? 0);
  } catch {
    // Gone in the meantime; nobody tells who is above.
    return 0;
  }
}

/**
 * The slot that make has given to this process, and for which there is no byte
 * in the pipe. All Jobservers of the process have this one together. Without
 * it, as many recipes as make has slots would wait for each other's for ever.
 */
export class MakeOwnSlot {
  readonly #slot: Pipe;
  readonly #selector: Fd;

  /** Borrows both. */
  constructor(slot: Pipe, slots: Fd) {
    this.#slot = slot;
    this.#selector = new Fd(check(native.selectorOpen(), 'open a selector'));
    try {
      for (const { number } of [slot.reader, slots]) {
        check(native.selectorAdd(this.#selector.number, number), 'watch slots');
      }
    } catch (error) {
      this.#selector.close();
      throw error;
    }
  }

  /** Readable while this slot or one of the pipe is free; -1 in a fork. */
  get ready(): number {
    return this.#selector.number;
  }

  tryTake(): boolean {
    // A fork has a slot of its own already, and the fds closed.
    const { number } = this.#slot.reader;
    return number >= 0 && native.read(number, new Uint8Array(1), 0, 1) === 1;
  }

  give(): void {
    const byte = new Uint8Array(1);
    check(native.write(this.#slot.writer.number, byte, 0, 1), 'free own slot');
  }

  close(): void {
    this.#selector.close();
  }
}

function withOwnSlot({ reader, writer }: Pipe): MakeSlots {
  try {
    const slot = isMainThread ? processSlot() : undefined;
    const ownSlot = slot && new MakeOwnSlot(slot, reader);
    return { reader, writer, ownSlot };
  } catch (error) {
    reader.close();
    writer.close();
    throw error;
  }
}

const key = Symbol.for('jobserver.makeOwnSlot');
const globals = globalThis as typeof globalThis & { [key]?: Pipe };

/** One byte in a pipe while it is free; open until the process ends. */
function processSlot(): Pipe {
  if (globals[key] !== undefined) return globals[key];
  const slot = openPipe('own slot');
  check(native.setNonBlocking(slot.reader.number, true), 'prepare own slot');
  check(native.write(slot.writer.number, new Uint8Array(1), 0, 1), 'own slot');
  globals[key] = slot;
  return slot;
}
