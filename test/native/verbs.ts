// Helpers for the functions of the addon: pipes that are closed after each
// test, children that cannot outlive their test, and programs that load the
// addon.
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { check, native, pollEvents } from '../../dist/system/binding.js';
import { checkLeaks } from '../helpers/leaks.js';
import { type Ended, runNode } from '../helpers/program.js';
import { timeoutFactor } from '../helpers/until.js';

export const { errno, signals } = constants;
export const limitMs = 10_000 * timeoutFactor;
// Longer than the limit of each wait, whose failure names what it waited for.
jest.setTimeout(3 * limitMs);
export const onLinux = process.platform === 'linux' ? test : test.skip;
/** A test that reads about fds in /proc. */
export const withProc = existsSync('/proc/self/fdinfo') ? test : test.skip;

/** The environment of this process, for children that run node. */
export const environment = Object.entries(process.env).map(
  ([name, value]) => `${name}=${value}`,
);

const owned: number[] = [];

/** In a describe block: closes the fds of each test, then checks for leaks. */
export function closeAndCheckLeaks(): void {
  afterEach(() => {
    for (const fd of owned.splice(0)) native.close(fd);
  });
  checkLeaks();
}

/** Closes the fd after the test, unless `close` is called before. */
export function own(fd: number): number {
  owned.push(check(fd, 'open'));
  return fd;
}

export function close(fd: number): void {
  owned.splice(owned.indexOf(fd), 1);
  check(native.close(fd), 'close');
}

export function openPipe(): [reader: number, writer: number] {
  const ends = new Int32Array(2);
  check(native.pipe(ends), 'pipe');
  return [own(ends[0]!), own(ends[1]!)];
}

export function write(fd: number, text: string): number {
  const bytes = Buffer.from(text);
  return native.write(fd, bytes, 0, bytes.length);
}

/** Reads once: the text, or the number when there is none. */
export function read(fd: number): string | number {
  const bytes = Buffer.alloc(65_536);
  const count = native.read(fd, bytes, 0, bytes.length);
  return count > 0 ? bytes.toString('utf8', 0, count) : count;
}

export function isReadable(fd: number, timeoutMs = limitMs): boolean {
  return native.poll(Int32Array.of(fd, pollEvents.in), 1, timeoutMs) === 1;
}

/** Reads until the end; fails when nothing arrives for too long. */
export function readToEnd(fd: number): string {
  let text = '';
  for (;;) {
    if (!isReadable(fd)) throw new Error(`Timed out reading after: ${text}`);
    const part = read(fd);
    if (typeof part === 'number') {
      check(part, 'read');
      return text;
    }
    text += part;
  }
}

interface Start {
  argv: string[];
  file?: string;
  env?: string[];
  cwd?: string;
  deathSignal?: number;
  fds?: [source: number, target: number][] | undefined;
}

/** Returns a pid or a negative errno. */
export function start(program: Start): number {
  const { argv, file = argv[0]!, env = [], cwd = '/', fds = [] } = program;
  const table = [program.deathSignal ?? 0, ...fds.flat()];
  return native.spawn(file, argv, env, cwd, Int32Array.from(table));
}

export function startNode(source: string, fds: Start['fds'] = []): number {
  const argv = [process.execPath, '-e', withAddon(source)];
  return check(start({ argv, env: environment, fds }), 'spawn');
}

/** Returns what the program writes to fd 1; `fds` are passed in addition. */
export function outputOf(program: Start): string {
  const [reader, writer] = openPipe();
  const fds: Start['fds'] = [...(program.fds ?? []), [writer, 1]];
  const pid = check(start({ ...program, fds }), 'spawn');
  close(writer);
  const output = readToEnd(reader);
  reap(pid);
  return output;
}

/** Waits for the end of a child without reaping it; false when it hangs. */
export function hasEnded(pid: number): boolean {
  const exit = native.exitFd(pid);
  // macOS opens none for a process that has ended.
  if (exit === -errno.ESRCH) return true;
  const isOver = isReadable(own(exit));
  close(exit);
  return isOver;
}

/** Reaps a child that has ended; macOS reports its end a moment too early. */
export function waitpid(pid: number, status: Int32Array): number {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const result = native.waitpid(pid, status);
    if (result !== 0 || performance.now() > deadline) return result;
    native.poll(new Int32Array(0), 0, 1);
  }
}

/** [exit code or -1, signal or 0] of a child, which is killed when it hangs. */
export function reap(pid: number): [exitCode: number, signal: number] {
  const isOver = hasEnded(pid);
  if (!isOver) native.kill(pid, -1, signals.SIGKILL);
  const status = new Int32Array(2);
  expect(waitpid(pid, status)).toBe(pid);
  if (!isOver) throw new Error(`Child ${pid} hung`);
  return [status[0]!, status[1]!];
}

/** Runs a program with `native` and `signals`, which must exit with code 0. */
export async function runProgram(
  source: string,
  args: string[] = [],
): Promise<Ended> {
  const ended = await runProgramToAnyEnd(source, args);
  if (ended.code !== 0) throw new Error(JSON.stringify(ended, null, 1));
  return ended;
}

export function runProgramToAnyEnd(
  source: string,
  args: string[] = [],
): Promise<Ended> {
  return runNode([...args, '-e', withAddon(source)], { limitMs });
}

function withAddon(source: string): string {
  const binding = JSON.stringify(
    require.resolve('../../dist/system/binding.js'),
  );
  return `
    const binding = ${binding};
    const { native } = require(binding);
    const { signals } = require('node:os').constants;
    ${source}
  `;
}
