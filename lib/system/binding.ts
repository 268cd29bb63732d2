// Loads the addon and declares its verbs, the functions that it exports. No
// other file loads it. A verb never throws. Except for mapSegment, viewSegment,
// watch, unwatch, refWatch and exitNow, it returns a value >= 0 or a negative errno:
// callers compare the failures that they expect (EAGAIN, ECHILD), and `check` turns
// the others into an Error.
import { join } from 'node:path';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { codedError } from '../errors.js';
import type { GuardVerbs } from './guard-verbs.js';
import type { SegmentVerbs } from './segment-verbs.js';

/** Moves bytes[offset, offset + length) from or to a position of a file. */
export type TransferAt = (
  ...range: [
    fd: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ]
) => number;

/** An fd watched on the environment's event loop. */
export interface Watch {
  readonly __watch: never;
}

/**
 * An fd or pid is borrowed for the call; watch, selectorAdd and guardToken use
 * it until they are undone, and serveForks takes it over. A result of several
 * numbers is written into an array that the caller passes.
 */
export interface Native extends SegmentVerbs, GuardVerbs {
  /** Fills [reader, writer], both close-on-exec. */
  pipe(ends: Int32Array): number;
  /**
   * A connected pair of Unix sockets, close-on-exec; packets: SOCK_SEQPACKET
   * (Linux).
   */
  socketpair(ends: Int32Array, packets: boolean): number;
  /**
   * Opens a file close-on-exec. Not by `openSync` of Node: at the end of a
   * worker thread, Node closes each number that `openSync` has returned and
   * `closeSync` has not closed, whatever is open under that number by then.
   */
  open(path: string, flags: number): number;
  /** A close-on-exec duplicate at 3 or above. */
  dup(fd: number): number;
  /** Makes `target` another number of the file, not close-on-exec. */
  dup2(fd: number, target: number): number;
  /**
   * Locks a file for this process alone, or unlocks it; -EAGAIN when another process
   * has locked it. The lock also ends when this process closes the file.
   */
  lockFile(fd: number, on: boolean): number;
  close(fd: number): number;
  setCloseOnExec(fd: number, on: boolean): number;
  setNonBlocking(fd: number, on: boolean): number;
  /** Bytes read into bytes[offset, offset + length), 0 at end of file. */
  read(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  /** Bytes written, possibly fewer than length. Without a reader: -EPIPE. */
  write(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  /** Like `read`, but at a position of a file. Its offset stays as it is. */
  readonly readAt: TransferAt;
  /** An empty anonymous file, close-on-exec, that lives as long as its fds. */
  anonymousFile(): number;
  /** Like `write`, but at a position of a file. Its offset stays as it is. */
  readonly writeAt: TransferAt;

  /**
   * Locks or unlocks one byte of a file against other processes; -EAGAIN while one of
   * them has it. On Linux, the lock belongs to the description of the file that `open`
   * has made, and ends with the last fd of that; on macOS, to the process, and ends
   * when it closes any fd of the file.
   */
  lockByte(fd: number, position: number, on: boolean): number;

  /**
   * Makes an anonymous file final. On Linux, no process can change it from then
   * on.
   */
  sealFile(fd: number): number;
  /**
   * 0 for a file that `sealFile` may have sealed; -EBADMSG for any other, of
   * which a read may wait. Without seals (macOS): 0 for a regular local file
   * that has no name.
   */
  checkSealed(fd: number): number;

  /**
   * Waits for fds, given as pairs [fd, events], and writes revents to the high
   * 16 bits of the second number. timeoutMs < 0: no limit. Returns how many are
   * ready.
   */
  poll(fds: Int32Array, count: number, timeoutMs: number): number;
  /**
   * A set of fds to wait for; a wait costs time only for those that are ready.
   * The selector is an fd itself, readable while any of its fds is.
   */
  selectorOpen(): number;
  /** Watches fd for input, end of file or error, level-triggered. */
  selectorAdd(selector: number, fd: number): number;
  /** Watches an fd that is not in the set for room for output. */
  selectorAddOutput(selector: number, fd: number): number;
  /**
   * Watches the reader of a pipe, which is not in the set, until no process has the
   * writer. On macOS, it is also ready once for each write.
   */
  selectorAddEnd(selector: number, fd: number): number;
  selectorRemove(selector: number, fd: number): number;
  /**
   * Waits for at least one ready fd, then fills `ready` with as many as fit.
   * Returns their number, or 0 after timeoutMs. timeoutMs < 0: no limit.
   */
  selectorWait(selector: number, ready: Int32Array, timeoutMs: number): number;
  /**
   * Calls onReadable from the event loop whenever fd is readable, until
   * unwatch, and at once again when it has returned true. Keeps the loop alive
   * unless refWatch(…, false). Returns -errno in case of an error.
   */
  watch(fd: number, onReadable: () => unknown): Watch | number;
  unwatch(watch: Watch): void;
  refWatch(watch: Watch, on: boolean): void;

  /**
   * Starts a program and returns its pid, or the -errno of the step that
   * failed, exec included. env has 'NAME=value' strings; an empty cwd is that
   * of this process. table: [death signal or 0, then pairs of source and target
   * fd]. Every fd that is not a target is closed at exec.
   */
  spawn(
    file: string,
    argv: readonly string[],
    env: readonly string[],
    cwd: string,
    table: Int32Array,
  ): number;
  /** The same for a program that leads a new process group. */
  spawnGroup: Native['spawn'];
  /**
   * Takes a byte from a slot pipe: the token, -EAGAIN when there is none, -EPIPE
   * at the end of the pipe. When this worker thread ends before `returnToken` or
   * `bindToken`, the token is written to slotFd. `escrow`: the pipe to which the
   * token is written too, or -1.
   */
  takeToken(reader: number, slotFd: number, escrow: number): number;
  /**
   * Writes the token to slotFd. `escrow`: the pipe out of which a token is taken
   * instead, or -1. Then -EAGAIN where it has none.
   */
  returnToken(slotFd: number, token: number, escrow: number): number;
  /**
   * For the token of a job, until resultReader is closed. When this worker
   * thread ends, the token is written to slotFd if no process holds the other
   * end of the result socket. Otherwise that process gives it back. `signal`: what
   * the job gets then, or 0. `word`: see `shareToken`; it is set to token + 1.
   * An empty array where there is none.
   */
  bindToken(
    slotFd: number,
    token: number,
    resultReader: number,
    signal: number,
    word: Int32Array,
  ): number;
  /**
   * Undoes `bindToken`, for a pipe or socket that stays open. The word is set to
   * 0 first.
   */
  unbindToken(resultReader: number, word: Int32Array): number;
  /**
   * For a child of `spawn`: `signal` ends it when this worker thread ends before
   * the child is reaped. 0: the child runs on. What else the thread has opened
   * is closed then.
   */
  endWithThread(pid: number, signal: number): number;
  /** The same for the job of a zygote, until its report socket is closed. */
  endForkWithThread(reportFd: number, signal: number): number;
  /**
   * Receives the next report of a job of a zygote, as `receiveFds` does. Fills
   * [kind, value, signal, those of the usage, pidfd or -1].
   */
  receiveReport(reportFd: number, report: Int32Array): number;
  /**
   * Reaps one child without waiting. Returns pid and fills status with [exit
   * code or -1, signal or 0, and those of its usage if there is room]; 0 while the
   * child runs; -ECHILD when pid is not a child of this process.
   */
  waitpid(pid: number, status: Int32Array): number;
  /** What this process has used: lib/protocol/usage.ts reads the numbers. */
  ownUsage(usage: Int32Array): number;
  /**
   * Like `waitpid`, for the leader of a process group. Before it is reaped, sends SIGTERM
   * to what is left of the group.
   */
  waitLeader(pid: number, status: Int32Array): number;
  /**
   * An fd that becomes readable when the process has ended. -ENOSYS where the
   * kernel has no such fds, -ESRCH when there is no such process.
   */
  exitFd(pid: number): number;
  /**
   * Sends a signal through exitFd where the kernel can (a pidfd), otherwise to
   * pid. exitFd -1: to pid.
   */
  kill(pid: number, exitFd: number, signal: number): number;
  /**
   * Like `kill`, with an int32 that the guard of the worker finds: see `fedSignal`.
   * macOS drops it. isGroup: sends the signal to the process group that the worker
   * leads, or has led. By exitFd, no other group can get it; -ENOSYS where the kernel
   * cannot do that, and the worker has ended.
   */
  killWorker(
    ...worker: [
      pid: number,
      exitFd: number,
      signal: number,
      value: number,
      isGroup: boolean,
    ]
  ): number;
  /** Makes a process lead a new process group; 0: this process. */
  leadGroup(pid: number): number;
  /**
   * Makes the kernel send `signal` to this process when its parent dies (Linux;
   * -ENOSYS elsewhere). -ESRCH when parentPid is no longer the parent. signal
   * 0: none.
   */
  setDeathSignal(signal: number, parentPid: number): number;
  /**
   * A number that changes with what a new process would inherit. ofRights: the
   * users, groups and capabilities, and whether the process may gain any.
   * Otherwise the rest: umask, limits, priority, processors, namespaces; this
   * takes ten times as long.
   */
  stamp(ofRights: boolean): number;
  /**
   * A number that changes when the environment of this process has changed
   * since the last call. Only in the main thread, whose process.env it is.
   */
  environmentStamp(): number;
  /**
   * How late the kernel may end the waits of this thread, in nanoseconds
   * (Linux; -ENOSYS elsewhere).
   */
  timerSlack(): number;
  /**
   * Sets a limit of this process, which its children inherit: the soft one, and the
   * hard one if `isFinal`. resource: its position in native/limits.cc.
   */
  setLimit(resource: number, value: number, isFinal: boolean): number;
  /** Unblocks all signals. A forked child starts with all of them blocked. */
  unblockSignals(): number;
  /** Restores the default action of a signal. */
  resetSignal(signal: number): number;
  /**
   * Sends one message with these fds over a Unix socket. -EAGAIN when the
   * socket has no room, -EMFILE when too many fds of this user are on their way.
   */
  sendFds(socket: number, bytes: Uint8Array, fds: Int32Array): number;
  /**
   * Makes the kernel add its sender to each message that arrives on this end of
   * a socket pair (Linux; -ENOSYS elsewhere). Called before the first message.
   */
  passCredentials(socket: number): number;
  /**
   * Receives the next message, without waiting, and returns its length, 0 at
   * the end. Fills fds with its fds, close-on-exec, then with `noFd`; with
   * `lostFd` when this process cannot have all of them, and has none.
   */
  receiveFds(socket: number, bytes: Uint8Array, fds: Int32Array): number;
  /** Copies the bytes of the next message, which stays. Returns as receiveFds. */
  peek(socket: number, bytes: Uint8Array): number;
  /**
   * While `on`, SIGIO ends this process when the other end of the socket is
   * closed, or when a message arrives there.
   */
  endWithPeer(socket: number, on: boolean): number;
  /** SIGALRM ends this process after that time; 0: no longer. */
  endAfter(ms: number): number;
  /**
   * Holds the zygote of this key that another thread, or another copy of this
   * module, has shared; -ENOENT when there is none. Fills [socket, pid]. The
   * socket is borrowed until `releaseZygote`.
   */
  holdZygote(key: string, link: Int32Array): number;
  /**
   * Takes over [socket, pid] of a zygote, shares and holds it. pid 0: not a
   * child of this process. When another thread was faster, `link` becomes that
   * of the other thread, and the zygote of this thread ends.
   */
  shareZygote(key: string, link: Int32Array): number;
  /**
   * Ends a hold, as does the end of its thread. The last one closes the socket
   * and returns 1; any `selectorWait` reaps the zygote when it has ended.
   * Otherwise 0. isDead: no thread is to hold this zygote from now on.
   */
  releaseZygote(socket: number, isDead: boolean): number;
  /** The pid of this process. In a fork, process.pid is still the parent's. */
  getpid(): number;
  /**
   * Forks this process with its heap (Linux). Returns 0 in the child, which has
   * no other thread and blocks all signals.
   */
  fork(): number;
  /**
   * Waits until every other thread of this process sleeps: only then is a fork
   * safe. Returns 1, or 0 after timeoutMs.
   */
  awaitQuiet(timeoutMs: number): number;
  /**
   * Makes V8 place its heap in one piece from now on, until this process is a
   * zygote, so that a fork has fewer page tables to copy (Linux).
   */
  packHeap(): number;
  /**
   * Gives the memory pages of this process that hold nothing but this number, again and
   * again, back to the kernel, so that they hold zeros. Returns how many there were (Linux).
   */
  dropFilledPages(number: number): number;
  /**
   * Turns this process into a zygote, for good, as soon as the event loop runs:
   * it forks a child for each request that arrives on the socket, `spares` of
   * them ahead. Each child calls onStep at each step of its life, and the zygote
   * itself if it can never fork. With `isEarly`, the zygote also calls it between two
   * forks, while a part of its preparation is left. step: a number of `childSteps`; fds: with `jobBegins` alone, those of the request
   * from `requestFds.order` on (lib/protocol/fds.ts). Returns 0. When it cannot
   * serve, the process prints why and exits with 1.
   */
  serveForks(
    requestFd: number,
    spares: number,
    isEarly: boolean,
    onStep: (step: number, fds?: number[]) => void,
  ): number;
  /** After `childSteps.mayPrepare`. isEarly: there is more to prepare. */
  resumeForks(isEarly: boolean): number;
  /** In the scout: it ends after that much of CPU time, if not before. */
  endScoutAfter(cpuMs: number): number;
  /** Ends the process at once: no exit handlers, no destructors. */
  readonly exitNow: (code: number) => never;

  /** As in node:worker_threads, which takes long to load. */
  readonly isMainThread: boolean;
}

/** The root of the package, which has `build/` and `prebuilds/`. */
const root = join(__dirname, '..', '..');

export const native: Native = load();

function load(): Native {
  try {
    return (require('node-gyp-build') as (dir: string) => Native)(root);
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw codedError(
      'ERR_JOBSERVER_NO_BINARY',
      `No binary of jobserver for ${process.platform}-${process.arch} can be ` +
        `loaded (${reason}). ${remedy(error as LoadError)}`,
      { cause: error },
    );
  }
}

/** `resource`: the file that the permission model does not let Node read. */
interface LoadError extends NodeJS.ErrnoException {
  readonly resource?: string;
}

function remedy({ code, resource }: LoadError): string {
  if (code === 'ERR_DLOPEN_DISABLED') {
    // The permission model sets it.
    return 'permission' in process
      ? 'Run node with --allow-addons'
      : 'Run node without --no-addons';
  }
  if (code === 'ERR_ACCESS_DENIED') {
    return `Run node with --allow-fs-read=${resource}`;
  }
  if (root.includes('.asar/')) {
    return 'It is in an asar archive: unpack it, with `asarUnpack`';
  }
  const script = join(root, 'scripts', 'build-native.mjs');
  return (
    'If there is none for this system, build it from source: ' +
    `node '${script.replaceAll("'", String.raw`'\''`)}'`
  );
}

export const { errno } = constants;

/** See `receiveFds`. */
export const noFd = -1;
export const lostFd = -2;

export const pollEvents = { in: 1, out: 4, error: 8, hangUp: 16 } as const;

/** Returns result, or throws an Error with the fields of a system error. */
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
