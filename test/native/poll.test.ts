import { native, pollEvents } from '../../dist/system/binding.js';
import {
  close,
  closeAndCheckLeaks,
  errno,
  isReadable,
  limitMs,
  onLinux,
  openPipe,
  own,
  read,
  runProgram,
  write,
} from './verbs.js';

const timeouts = [0.2, 1, 1.7, 10];

// How late the quickest of several waits may be on a busy machine.
const slackMs = 20;

/** By how much each of several waits exceeds its timeout, in milliseconds. */
function lateness(wait: (timeoutMs: number) => number): number[] {
  return timeouts.flatMap((timeoutMs) =>
    Array.from({ length: 20 }, () => {
      const start = performance.now();
      expect(wait(timeoutMs)).toBe(0);
      return performance.now() - start - timeoutMs;
    }),
  );
}

/**
 * Runs a program that waits for 300 ms while it handles a stream of signals.
 * Returns what the program prints: the result of the wait, the elapsed time and
 * the number of signals.
 */
function underSignals(wait: string): Promise<string> {
  const source = `
    const { spawn } = require('node:child_process');
    const ends = new Int32Array(2);
    native.pipe(ends);
    const selector = native.selectorOpen();
    native.selectorAdd(selector, ends[0]);
    const ready = new Int32Array(4);
    let count = 0;
    process.on('SIGUSR2', () => {
      count += 1;
      if (count > 1) return;
      const start = performance.now();
      const result = ${wait};
      const elapsed = performance.now() - start;
      sender.kill('SIGKILL');
      // It does not wait for the exit of the sender: Node misses a SIGCHLD when
      // its queue of signals is full.
      setTimeout(() => {
        console.log(JSON.stringify({ result, elapsed, count }));
        process.exit();
      }, 200);
    });
    const script = 'while kill -USR2 ' + process.pid + '; do :; done';
    const sender = spawn('/bin/sh', ['-c', script], { stdio: 'ignore' });
  `;
  return runProgram(source).then(({ stdout }) => stdout);
}

/**
 * Runs a program that is stopped for 6 s while it waits for as long. Returns for how many
 * milliseconds it has waited.
 */
async function stopped(wait: string): Promise<number> {
  const { stdout } = await runProgram(`
    const ends = new Int32Array(2);
    native.pipe(ends);
    const selector = native.selectorOpen();
    native.selectorAdd(selector, ends[0]);
    const ready = new Int32Array(4);
    // Its end would interrupt the wait, so it goes on until it is killed.
    const script = 'sleep 0.2; kill -STOP $PPID; sleep 6; kill -CONT $PPID; exec sleep 60';
    const { spawn } = require('node:child_process');
    const stopper = spawn('/bin/sh', ['-c', script], { stdio: 'ignore' });
    const start = performance.now();
    ${wait};
    console.log(performance.now() - start);
    stopper.kill();
  `);
  return Number(stdout);
}

describe('poll', () => {
  closeAndCheckLeaks();

  test('reports which of several fds are ready', () => {
    const [first, firstWriter] = openPipe();
    const [second] = openPipe();
    write(firstWriter, 'x');
    const { in: input, out } = pollEvents;
    const fds = Int32Array.of(first, input, second, input, firstWriter, out);
    expect(native.poll(fds, 3, limitMs)).toBe(2);
    expect(Array.from(fds)).toEqual([
      first,
      input | (input << 16),
      second,
      input,
      firstWriter,
      out | (out << 16),
    ]);
  });

  test('looks only at the first `count` pairs', () => {
    const [reader, writer] = openPipe();
    write(writer, 'x');
    const fds = Int32Array.of(-1, 0, reader, pollEvents.in);
    expect(native.poll(fds, 1, 0)).toBe(0);
    expect(native.poll(fds, 2, 0)).toBe(1);
  });

  test('reports the end of a pipe', () => {
    const [reader, writer] = openPipe();
    close(writer);
    const fds = Int32Array.of(reader, pollEvents.in);
    expect(native.poll(fds, 1, limitMs)).toBe(1);
    expect((fds[1]! >> 16) & pollEvents.hangUp).toBe(pollEvents.hangUp);
  });

  test('reports a closed reader without being asked for it', () => {
    const [reader, writer] = openPipe();
    const fds = Int32Array.of(writer, 0);
    expect(native.poll(fds, 1, 0)).toBe(0);
    close(reader);
    expect(native.poll(fds, 1, limitMs)).toBe(1);
    const { error, hangUp } = pollEvents;
    expect((fds[1]! >> 16) & (error | hangUp)).not.toBe(0);
  });

  test('returns 0 soon after its timeout, never earlier', () => {
    const [reader] = openPipe();
    const fds = Int32Array.of(reader, pollEvents.in);
    const late = lateness((timeoutMs) => native.poll(fds, 1, timeoutMs));
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    expect(Math.min(...late)).toBeLessThan(slackMs);
  });

  test('waits without any fd', () => {
    const late = lateness((ms) => native.poll(new Int32Array(0), 0, ms));
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  });

  test('waits without limit when the timeout is negative', async () => {
    await runProgram(`
      const ends = new Int32Array(2);
      native.pipe(ends);
      const argv = ['/bin/sh', '-c', 'sleep 0.1; echo x'];
      const table = Int32Array.of(0, ends[1], 1);
      native.spawn('/bin/sh', argv, ['PATH=/bin:/usr/bin'], '/', table);
      const result = native.poll(Int32Array.of(ends[0], 1), 1, -1);
      process.exit(result === 1 ? 0 : 1);
    `);
  });

  test('keeps its timeout under a stream of signals', async () => {
    const answer = JSON.parse(
      await underSignals('native.poll(Int32Array.of(ends[0], 1), 1, 300)'),
    );
    expect(answer.result).toBe(0);
    expect(answer.elapsed).toBeGreaterThanOrEqual(300);
    expect(answer.elapsed).toBeLessThan(20_000);
    expect(answer.count).toBeGreaterThan(5);
  });

  test('does not wait for the time in which the process is stopped as well', async () => {
    const ms = await stopped('native.poll(Int32Array.of(ends[0], 1), 1, 6000)');
    expect(ms).toBeGreaterThanOrEqual(6000);
    // Otherwise it would take 12 s.
    expect(ms).toBeLessThan(10_000);
  });
});

describe('a selector', () => {
  closeAndCheckLeaks();

  function openSelector(...fds: number[]): number {
    const selector = own(native.selectorOpen());
    for (const fd of fds) expect(native.selectorAdd(selector, fd)).toBe(0);
    return selector;
  }

  function readyOf(selector: number, room = 8, timeoutMs = limitMs): number[] {
    const ready = new Int32Array(room);
    const count = native.selectorWait(selector, ready, timeoutMs);
    expect(count).toBeGreaterThanOrEqual(0);
    return Array.from(ready.subarray(0, count)).sort((a, b) => a - b);
  }

  test('reports its readable fds, as long as they are readable', () => {
    const [first, firstWriter] = openPipe();
    const [second, secondWriter] = openPipe();
    const [third] = openPipe();
    const selector = openSelector(first, second, third);
    write(firstWriter, 'x');
    write(secondWriter, 'x');
    const both = [first, second].sort((a, b) => a - b);
    expect(readyOf(selector)).toEqual(both);
    expect(readyOf(selector)).toEqual(both);
    read(first);
    expect(readyOf(selector)).toEqual([second]);
  });

  test('reports the end of a pipe and a closed reader', () => {
    const [reader, writer] = openPipe();
    const [otherReader, otherWriter] = openPipe();
    close(writer);
    close(otherReader);
    expect(readyOf(openSelector(reader))).toEqual([reader]);
    expect(readyOf(openSelector(otherWriter))).toEqual([otherWriter]);
  });

  test('reports as many fds as fit, and the others in later calls', () => {
    const pipes = Array.from({ length: 5 }, openPipe);
    for (const [, writer] of pipes) write(writer, 'x');
    const selector = openSelector(...pipes.map(([reader]) => reader));
    const seen = new Set<number>();
    for (let i = 0; i < 10; i++) {
      const ready = readyOf(selector, 2);
      expect(ready).toHaveLength(2);
      for (const fd of ready) seen.add(fd);
    }
    expect(seen.size).toBe(5);
  });

  test('does not report an fd that was removed', () => {
    const [reader, writer] = openPipe();
    const selector = openSelector(reader);
    write(writer, 'x');
    expect(native.selectorRemove(selector, reader)).toBe(0);
    expect(readyOf(selector, 8, 0)).toEqual([]);
  });

  test('returns -ENOENT for an fd that was not added', () => {
    const [reader] = openPipe();
    const selector = openSelector();
    expect(native.selectorRemove(selector, reader)).toBe(-errno.ENOENT);
  });

  test('returns -EBADF for an fd that is not open', () => {
    const selector = openSelector();
    expect(native.selectorAdd(selector, 1_000_000)).toBe(-errno.EBADF);
    const ready = new Int32Array(1);
    expect(native.selectorWait(1_000_000, ready, 0)).toBe(-errno.EBADF);
  });

  onLinux('refuses a regular file, which is always readable', () => {
    const file = own(native.anonymousFile());
    expect(native.selectorAdd(openSelector(), file)).toBe(-errno.EPERM);
  });

  test('is readable itself while one of its fds is', () => {
    const [reader, writer] = openPipe();
    const selector = openSelector(reader);
    expect(isReadable(selector, 0)).toBe(false);
    write(writer, 'x');
    expect(isReadable(selector)).toBe(true);
    read(reader);
    expect(isReadable(selector, 0)).toBe(false);
  });

  test('returns 0 soon after its timeout, never earlier', () => {
    const [reader] = openPipe();
    const selector = openSelector(reader);
    const ready = new Int32Array(4);
    const late = lateness((ms) => native.selectorWait(selector, ready, ms));
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    expect(Math.min(...late)).toBeLessThan(slackMs);
  });

  test('keeps its timeout under a stream of signals', async () => {
    const answer = JSON.parse(
      await underSignals('native.selectorWait(selector, ready, 300)'),
    );
    expect(answer.result).toBe(0);
    expect(answer.elapsed).toBeGreaterThanOrEqual(300);
    expect(answer.elapsed).toBeLessThan(20_000);
    expect(answer.count).toBeGreaterThan(5);
  });

  test('does not wait for the time in which the process is stopped as well', async () => {
    const ms = await stopped('native.selectorWait(selector, ready, 6000)');
    expect(ms).toBeGreaterThanOrEqual(6000);
    // Otherwise it would take 12 s.
    expect(ms).toBeLessThan(10_000);
  });
});
