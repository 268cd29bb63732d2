// Loads the addon and gives its verbs types; the only file that sees it. A verb
// returns a value >= 0 or a negative errno and never throws: expected failures
// (EAGAIN, ECHILD) are compared, the others become an Error by `check`.
import { join } from 'node:path';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { codedError } from '../errors.js';

/** An fd watched on the environment's event loop. */
export interface Watch {
  readonly __watch: never;
}

/** A bare fd or pid is borrowed for the call; bytes go into arrays the caller brings. */
export interface Native {
  /** Fills [reader, writer], both close-on-exec. */
  pipe(ends: Int32Array): number;
  /** A connected pair of Unix sockets, close-on-exec; packets: SOCK_SEQPACKET (Linux). */
  socketpair(ends: Int32Array, packets: boolean): number;
  /** A close-on-exec duplicate at 3 or above. */
  dup(fd: number): number;
  close(fd: number): number;
  setCloseOnExec(fd: number, on: boolean): number;
  setNonBlocking(fd: number, on: boolean): number;
  /** Bytes read into bytes[offset, offset + length), 0 at end of file. */
  read(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  /** Bytes written, maybe fewer than length; a vanished reader is -EPIPE. */
  write(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  /** `read` from a position of a file, wherever its offset is. */
  readAt(
    fd: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): number;
  /** An empty anonymous file, close-on-exec, that lives as long as its fds. */
  anonymousFile(): number;

  /** Waits for fds given as pairs [fd, events]; revents go to the high 16 bits of the second. timeoutMs < 0: for ever. Returns how many are ready. */
  poll(fds: Int32Array, count: number, timeoutMs: number): number;
  /** A set of fds to wait for, whose cost is that of the ready ones. Its own fd is readable while any of them is. */
  selectorOpen(): number;
  /** Watch fd for input, end of file or error, level-triggered. */
  selectorAdd(selector: number, fd: number): number;
  selectorRemove(selector: number, fd: number): number;
  /** Waits for at least one ready fd, then fills `ready` with as many as fit. Returns their number, 0 when the time is up. timeoutMs < 0: for ever. */
  selectorWait(selector: number, ready: Int32Array, timeoutMs: number): number;
  /** Calls back from the event loop whenever fd is readable, until unwatch. Holds the loop open unless refWatch(…, false). A number is an error. */
  watch(fd: number, onReadable: () => void): Watch | number;
  unwatch(watch: Watch): void;
  refWatch(watch: Watch, on: boolean): void;

  /**
   * Starts a program; returns its pid, or the errno of the step that failed, exec included. env is 'NAME=value' strings, cwd a path.
   * table: [death signal or 0, then pairs of source and target fd]; every fd that is no target is closed at exec.
   */
  spawn(
    file: string,
    argv: readonly string[],
    env: readonly string[],
    cwd: string,
    table: Int32Array,
  ): number;
  /** Reaps this one child without waiting: pid and status = [exit code or -1, signal or 0], 0 when it runs, -ECHILD when it is not ours to reap. */
  waitpid(pid: number, status: Int32Array): number;
  /** An fd that becomes readable when the process has ended; -ENOSYS where the kernel has none, -ESRCH when it is gone. */
  exitFd(pid: number): number;
  /** Signals through exitFd where the kernel can (a pidfd), by pid otherwise; exitFd -1: by pid. */
  kill(pid: number, exitFd: number, signal: number): number;
  /** Asks the kernel for `signal` when the parent dies (Linux; -ENOSYS elsewhere). -ESRCH when that parent is gone already. signal 0: none. */
  setDeathSignal(signal: number, parentPid: number): number;
  /**
   * For a worker: when `signal` arrives and the reader of resultFd is gone, give `token` back to slotFd before dying of it.
   * A submitter that lives keeps the reader open until it has reaped the worker, so the token is never given twice.
   */
  guardToken(
    signal: number,
    resultFd: number,
    slotFd: number,
    token: number,
  ): number;
  /** For a forked worker: a guarded signal from its zygote means that the submitter is dying, and its end of the pipe is about to close. */
  trustOrphanTeller(pid: number): number;
  /** A spare of the zygote blocks all signals until it has a job. */
  unblockSignals(): number;
  /** Gives a signal its default action again. */
  resetSignal(signal: number): number;
  /** One message with these fds over a Unix socket, or -EAGAIN where there is no room. */
  sendFds(socket: number, bytes: Uint8Array, fds: Int32Array): number;
  /** The next message, 0 at the end; its fds, close-on-exec, then -1. Never waits. */
  receiveFds(socket: number, bytes: Uint8Array, fds: Int32Array): number;
  /** Node keeps the pid that it had before a fork. */
  getpid(): number;
  /** Forks this process, heap and all: 0 in the child, where no other thread lives (Linux). */
  fork(): number;
  /** Waits until every other thread of this process sleeps: only then a fork is safe. Returns 1, or 0 after timeoutMs. */
  awaitQuiet(timeoutMs: number): number;
  /**
   * Turns this process into a zygote, for good, as soon as the event loop runs: it forks a child for each request that arrives
   * on the socket, `spares` of them ahead. Each child calls onStep at each step of its life, with a ChildStep of
   * native/protocol.h; `fds` are those of the request, from kFirstOpaqueFd on, and are given with kJobBegins alone.
   */
  serveForks(
    requestFd: number,
    spares: number,
    onStep: (step: number, fds?: number[]) => void,
  ): number;
  /** Ends the process at once: no exit handlers, no destructors. */
  readonly exitNow: (code: number) => never;
}

/** Where `npm run build` and `prebuilds/` are: the root of the package. */
const root = join(__dirname, '..', '..');

export const native: Native = load();

function load(): Native {
  checkRuntime();
  try {
    return (require('node-gyp-build') as (dir: string) => Native)(root);
  } catch (error) {
    const script = join(root, 'scripts', 'build-native.mjs');
    const [reason] = (error as Error).message.split('\n');
    throw codedError(
      'ERR_JOBSERVER_NO_BINARY',
      `No binary of jobserver for ${process.platform}-${process.arch} can be ` +
        `loaded (${reason}). If there is none for this system, build it from ` +
        `source: node '${script.replaceAll("'", String.raw`'\''`)}'`,
      { cause: error },
    );
  }
}

/** Other runtimes have other options, other functions and no such addon. */
function checkRuntime(): void {
  const { bun, deno, electron } = process.versions;
  const isNode = process.env['ELECTRON_RUN_AS_NODE'] !== undefined;
  const other =
    (bun !== undefined && `Bun ${bun}`) ||
    (deno !== undefined && `Deno ${deno}`) ||
    (electron !== undefined && !isNode && `Electron ${electron}`);
  if (other === false) return;
  throw codedError(
    'ERR_JOBSERVER_RUNTIME',
    `jobserver needs Node.js, because its jobs are node processes: it cannot ` +
      `run in ${other}`,
  );
}

const { EAGAIN, ECHILD, ENOSYS, EPIPE, ESRCH } = constants.errno;
export const errno = { EAGAIN, ECHILD, ENOSYS, EPIPE, ESRCH } as const;

export const pollEvents = { in: 1, out: 4, error: 8, hangUp: 16 } as const;

/** The value, or an Error of the shape that Node's own system errors have. */
export function check(result: number, syscall: string): number {
  if (result >= 0) return result;
  throw systemError(result, syscall);
}

export function systemError(result: number, syscall: string): Error {
  const code = getSystemErrorName(result);
  return Object.assign(new Error(`${code}: ${syscall}`), {
    errno: result,
    code,
    syscall,
  });
}
