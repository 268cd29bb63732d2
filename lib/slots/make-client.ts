// Opens the job server of a make that this process runs under: two fds for a
// SlotPipe, and the slot that make has already given to this process. The pipe
// is opened anew, because the fds that make passes down share their status
// flags with make and all its other children. A job server that cannot be used
// causes a warning, never an error.
import {
  constants,
  fstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import { check, native } from '../system/binding.js';
import { Fd, type Pipe, openFile, openPipe } from '../system/fd.js';
import { mainGlobal } from '../system/main-global.js';
import { parseMakeflags } from './make-flags.js';

const { O_NOCTTY, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

export interface MakeSlots extends Pipe {
  readonly ownSlot: MakeOwnSlot | undefined;
}

/** Why a job server cannot be used. Never leaves this file. */
class Unusable extends Error {}

/**
 * The slots of the make that MAKEFLAGS names, which the caller must close; 1
 * when make allows one job at a time; undefined when there is no job server or
 * it cannot be used.
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
      warn(
        style.word,
        `make does not let this recipe use it; ${plusHint}`,
        'one slot',
      );
      return 1;
    case 'unknown':
      warn(style.word, 'it is of an unknown kind', ownSlots);
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
    warn(word, (error as Error).message, ownSlots);
    return undefined;
  }
}

const plusHint = "put '+' in front of the recipe line that starts this program";
const ownSlots = 'slots of its own';

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
  // The reader is opened first: opening a writer without one fails or waits.
  return openEnds(path, path, (reader) => {
    // A regular file must not be read and written as if it contained tokens.
    const stats = fstatSync(reader);
    if (stats.isFIFO() || stats.isCharacterDevice()) return;
    throw new Unusable(`${path} is not a fifo`);
  });
}

/** Opens the pipe of two inherited fds anew. The inherited fds stay open. */
function openInherited(reader: number, writer: number): Pipe {
  if (process.platform !== 'linux') {
    throw new Unusable(
      `${process.platform} cannot open an inherited pipe anew; make 4.4 and ` +
        'later use a fifo instead',
    );
  }
  const pipe = pipeAt(reader, O_RDONLY);
  if (pipe !== pipeAt(writer, O_WRONLY)) {
    throw new Unusable(`fds ${reader} and ${writer} belong to different pipes`);
  }
  // When no make is running, these may be fds of pipes that Node itself uses.
  // Taking a byte from one would make the process hang at the next signal.
  if (isAnonymous(pipe) && !isHeldByAncestor(pipe)) {
    throw new Unusable(
      `fds ${reader} and ${writer} do not come from a make; ${plusHint}`,
    );
  }
  return openEnds(fdPath(reader), fdPath(writer));
}

function openEnds(
  readerPath: string,
  writerPath: string,
  checkReader?: (reader: number) => void,
): Pipe {
  const reader = openFile(readerPath, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  try {
    checkReader?.(reader.number);
    const writer = openFile(writerPath, O_WRONLY | O_NOCTTY);
    return { reader, writer };
  } catch (error) {
    reader.close();
    throw error;
  }
}

function fdPath(fd: number, pid: number | 'self' = 'self'): string {
  return `/proc/${pid}/fd/${fd}`;
}

/** The name that the kernel gives to the pipe of an fd. */
function pipeAt(fd: number, mode: number): string {
  try {
    const isPipe = fstatSync(fd).isFIFO();
    if (isPipe && canBeUsed(fd, mode)) return readlinkSync(fdPath(fd));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBADF') throw error;
    throw new Unusable(`fd ${fd} is not open; ${plusHint}`);
  }
  const end = mode === O_RDONLY ? 'reading' : 'writing';
  throw new Unusable(`fd ${fd} is not a pipe open for ${end}; ${plusHint}`);
}

// Opening an fd through /proc could also open the other end of its pipe, so the
// mode of the fd is checked.
function canBeUsed(fd: number, mode: number): boolean {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  const flags = parseInt(/^flags:\s*([0-7]+)/m.exec(info)![1]!, 8);
  const access = flags & (O_WRONLY | constants.O_RDWR);
  return access === mode || access === constants.O_RDWR;
}

function isAnonymous(pipe: string): boolean {
  return pipe.startsWith('pipe:');
}

/** A running make is an ancestor of its recipes and holds the pipe open. */
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
    // The process belongs to another user. The search continues at its parent.
    return false;
  }
}

function isLinkTo(path: string, target: string): boolean {
  try {
    return readlinkSync(path) === target;
  } catch {
    // The fd was closed after the directory was read.
    return false;
  }
}

function parentOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? 0);
  } catch {
    // The process has ended, so its parent is unknown.
    return 0;
  }
}

/**
 * The slot that make has given to this process, for which the pipe has no byte.
 * All Jobservers of the process share it. Without it, as many recipes as make
 * has slots could wait for each other's slots forever.
 */
export class MakeOwnSlot {
  readonly #slot: Pipe;
  readonly #selector: Fd;

  /** Borrows the fds of both arguments. */
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

  /** An fd, readable while this or another slot is free; -1 in a fork. */
  get ready(): number {
    return this.#selector.number;
  }

  tryTake(): boolean {
    // In a fork these fds are closed: it already has the slot of its job.
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
    const slot = native.isMainThread ? processSlot() : undefined;
    const ownSlot = slot && new MakeOwnSlot(slot, reader);
    return { reader, writer, ownSlot };
  } catch (error) {
    reader.close();
    writer.close();
    throw error;
  }
}

const key = Symbol.for('jobserver.makeOwnSlot');

/** A pipe with one byte while the slot is free; open until the process ends. */
function processSlot(): Pipe {
  // Copies of the library in vm contexts share it, too.
  const globals = mainGlobal() as { [key]?: Pipe };
  if (globals[key] !== undefined) return globals[key];
  const slot = openPipe('own slot');
  check(native.setNonBlocking(slot.reader.number, true), 'prepare own slot');
  check(native.write(slot.writer.number, new Uint8Array(1), 0, 1), 'own slot');
  globals[key] = slot;
  return slot;
}
