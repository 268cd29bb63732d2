import { native } from '../../dist/system/binding.js';
import {
  close,
  closeAndCheckLeaks,
  errno,
  isReadable,
  onLinux,
  openPipe,
  own,
  read,
  readToEnd,
  reap,
  runProgram,
  signals,
  startNode,
} from './verbs.js';

// The fds of the worker.
const resultTarget = 3;
const slotTarget = 4;
const token = '+';

/**
 * Runs a worker until `source` ends it; returns its status and the content of
 * the slot pipe.
 */
function runToEnd(
  source: string,
  isSubmitterGone: boolean,
): { status: [number, number]; slots: string } {
  const [resultReader, resultWriter] = openPipe();
  const [slotReader, slotWriter] = openPipe();
  if (isSubmitterGone) close(resultReader);
  const pid = startNode(
    `
      const guard = (signal) => native.guardToken(
        signal, ${resultTarget}, ${slotTarget}, ${token.charCodeAt(0)});
      // The test fails earlier when the signal does not end the worker.
      const hang = () => native.poll(new Int32Array(0), 0, 60_000);
      ${source}
    `,
    [
      [resultWriter, resultTarget],
      [slotWriter, slotTarget],
    ],
  );
  close(resultWriter);
  close(slotWriter);
  const slots = readToEnd(slotReader);
  return { status: reap(pid), slots };
}

describe('a guarded token', () => {
  closeAndCheckLeaks();

  const dieOfSignal = `
    guard(signals.SIGTERM);
    process.kill(process.pid, 'SIGTERM');
    hang();
  `;

  test('is given back when a signal ends an orphaned worker', () => {
    expect(runToEnd(dieOfSignal, true)).toEqual({
      status: [-1, signals.SIGTERM],
      slots: token,
    });
  });

  test('is not given back while the submitter is alive', () => {
    expect(runToEnd(dieOfSignal, false)).toEqual({
      status: [-1, signals.SIGTERM],
      slots: '',
    });
  });

  test('is given back once when several signals arrive together', () => {
    const source = `
      guard(signals.SIGTERM);
      guard(signals.SIGINT);
      guard(signals.SIGHUP);
      const pid = process.pid;
      const script = 'kill -TERM $0 && kill -INT $0 && kill -HUP $0';
      const argv = ['sh', '-c', script, String(pid)];
      native.spawn('/bin/sh', argv, ['PATH=/bin'], '/', Int32Array.of(0));
      hang();
    `;
    const { status, slots } = runToEnd(source, true);
    expect(slots).toBe(token);
    expect(status[0]).toBe(-1);
  });

  test('does not delay the end of a worker whose submitter runs', () => {
    /** Milliseconds from the signal to the end of the worker's pipe. */
    const killOne = (): number => {
      const [resultReader, resultWriter] = openPipe();
      const [readyReader, readyWriter] = openPipe();
      const pid = startNode(
        `
          native.guardToken(signals.SIGTERM, 3, 3, 43);
          native.write(4, new Uint8Array(1), 0, 1);
          native.poll(new Int32Array(0), 0, 60_000);
        `,
        [
          [resultWriter, 3],
          [readyWriter, 4],
        ],
      );
      close(resultWriter);
      expect(isReadable(readyReader)).toBe(true);
      const exit = own(native.exitFd(pid));
      const start = performance.now();
      native.kill(pid, exit, signals.SIGTERM);
      expect(readToEnd(resultReader)).toBe('');
      const ms = performance.now() - start;
      expect(reap(pid)).toEqual([-1, signals.SIGTERM]);
      return ms;
    };

    // The guard of an orphan waits for a second. The quickest of several kills
    // counts, because the machine may be busy.
    const times = Array.from({ length: 5 }, killOne);
    expect(Math.min(...times)).toBeLessThan(1000);
  });

  onLinux('is given back when the death of the parent sends the signal', () => {
    const [slotReader, slotWriter] = openPipe();
    const worker = `
      native.guardToken(signals.SIGTERM, 3, 4, ${token.charCodeAt(0)});
      native.setDeathSignal(signals.SIGTERM, process.ppid);
      native.write(5, new Uint8Array(1), 0, 1);
      native.poll(new Int32Array(0), 0, 60_000);
    `;
    const pid = startNode(
      `
        const [result, ready] = [new Int32Array(2), new Int32Array(2)];
        native.pipe(result);
        native.pipe(ready);
        const source = 'const { native } = require(' +
          JSON.stringify(binding) + ');' +
          'const { signals } = require("node:os").constants;' +
          ${JSON.stringify(worker)};
        const env = Object.entries(process.env).map((each) => each.join('='));
        const table = Int32Array.of(0, result[1], 3, 4, 4, ready[1], 5);
        const argv = [process.execPath, '-e', source];
        native.spawn(process.execPath, argv, env, '/', table);
        native.read(ready[0], new Uint8Array(1), 0, 1);
        process.kill(process.pid, 'SIGKILL');
      `,
      [[slotWriter, slotTarget]],
    );
    close(slotWriter);
    expect(readToEnd(slotReader)).toBe(token);
    expect(reap(pid)).toEqual([-1, signals.SIGKILL]);
  });

  test.each([
    ['guardToken with signal 0', 'guard(0);'],
    ['resetSignal', 'native.resetSignal(signals.SIGTERM);'],
  ])('is not given back after %s', (_, uninstall) => {
    const source = `
      guard(signals.SIGTERM);
      ${uninstall}
      process.kill(process.pid, 'SIGTERM');
      hang();
    `;
    expect(runToEnd(source, true)).toEqual({
      status: [-1, signals.SIGTERM],
      slots: '',
    });
  });

  test.each([
    ['the signal', dieOfSignal],
    ['giveToken', `native.giveToken(${slotTarget}, ${token.charCodeAt(0)});`],
  ])('is not given back by a lender, nor under a living one (%s)', (_, end) => {
    // The worker has both ends of this pipe: its reader is alive.
    const living = `
      const pipe = new Int32Array(2);
      native.pipe(pipe);
      native.setLenders(Int32Array.of(${resultTarget}, pipe[1]));
    `;
    const outcome = (setUp: string): string =>
      runToEnd(setUp + end, true).slots;
    expect(outcome(living)).toBe('');
    expect(outcome(`${living} native.close(pipe[0]);`)).toBe(token);
    expect(outcome('native.setLent(true);')).toBe('');
    expect(outcome('native.setLent(true); native.setLent(false);')).toBe(token);
  });

  describe.each([
    ['has a listener', 'native.feedSignal(signals.SIGTERM, feed());'],
    [
      'had a handler before',
      "process.on('SIGTERM', () => {}); guard(signals.SIGTERM);",
    ],
    [
      'gets a handler later',
      "process.on('SIGTERM', () => {}); native.keepGuard(signals.SIGTERM);",
    ],
  ])('of a worker whose signal %s', (_, handle) => {
    const source = (graceMs: string): string => `
      const feed = () => {
        const pipe = new Int32Array(2);
        native.pipe(pipe);
        return pipe[1];
      };
      native.setGrace(${graceMs});
      guard(signals.SIGTERM);
      ${handle}
      process.kill(process.pid, 'SIGTERM');
      process.kill(process.pid, 'SIGTERM');
      native.poll(new Int32Array(0), 0, 500);
      native.exitNow(3);
    `;

    test('is given back once after the grace period', () => {
      expect(runToEnd(source('100'), true)).toEqual({
        status: [-1, signals.SIGKILL],
        slots: token,
      });
    });

    test('stays while the submitter is alive', () => {
      expect(runToEnd(source('100'), false)).toEqual({
        status: [3, 0],
        slots: '',
      });
    });

    test('stays if the grace period is infinite', () => {
      expect(runToEnd(source('Infinity'), true)).toEqual({
        status: [3, 0],
        slots: '',
      });
    });
  });

  test('has no more than 32 lenders', () => {
    const { setLenders } = native;
    expect(setLenders(new Int32Array(33))).toBe(-errno.E2BIG);
    expect(setLenders(new Int32Array(0))).toBe(0);
  });

  test('is not given back when the worker exits', () => {
    const source = 'guard(signals.SIGTERM); native.exitNow(3);';
    expect(runToEnd(source, true)).toEqual({ status: [3, 0], slots: '' });
  });
});

describe('a signal', () => {
  closeAndCheckLeaks();

  test('that cannot be caught is refused', async () => {
    const { stdout } = await runProgram(`
      console.log(native.guardToken(signals.SIGKILL, 0, 1, 43));
      console.log(native.guardToken(-1, 0, 1, 43));
      console.log(native.guardToken(1000, 0, 1, 43));
      console.log(native.guardToken(0, 0, 1, 43));
    `);
    expect(stdout).toBe(`${`${-errno.EINVAL}\n`.repeat(3)}0\n`);
  });

  test('can be reset to its default action', () => {
    expect(native.resetSignal(1000)).toBe(-errno.EINVAL);
    const [reader, writer] = openPipe();
    const pid = startNode(
      `
        process.on('SIGTERM', () => undefined);
        native.resetSignal(signals.SIGTERM);
        process.kill(process.pid, 'SIGTERM');
        native.poll(new Int32Array(0), 0, 60_000);
      `,
      [[writer, 1]],
    );
    close(writer);
    expect(reap(pid)).toEqual([-1, signals.SIGTERM]);
    expect(read(reader)).toBe(0);
  });
});
