import { check, native } from '../../dist/system/binding.js';
import {
  close,
  closeAndCheckLeaks,
  errno,
  hasEnded,
  isReadable,
  onLinux,
  openPipe,
  own,
  reap,
  runProgram,
  signals,
  start,
  waitpid,
} from './verbs.js';

// Larger than any pid.
const noPid = 4_194_305;

/** Starts a child that exits with `code` once the writer is closed. */
function startWaiting(code = 0): { pid: number; writer: number } {
  const [reader, writer] = openPipe();
  const argv = ['/bin/sh', '-c', `read line; exit ${code}`];
  const pid = check(start({ argv, fds: [[reader, 0]] }), 'spawn');
  close(reader);
  return { pid, writer };
}

function waitpidNow(pid: number): [result: number, status: number[]] {
  const status = Int32Array.of(-7, -7);
  return [native.waitpid(pid, status), Array.from(status)];
}

/** The same of a child that has ended. */
function statusOf(pid: number): [result: number, status: number[]] {
  const status = Int32Array.of(-7, -7);
  return [waitpid(pid, status), Array.from(status)];
}

describe('waitpid', () => {
  closeAndCheckLeaks();

  test('returns 0 and leaves the status unchanged while the child runs', () => {
    const { pid, writer } = startWaiting();
    expect(waitpidNow(pid)).toEqual([0, [-7, -7]]);
    close(writer);
    reap(pid);
  });

  test('returns the pid and exit code of a child that exited', () => {
    const { pid, writer } = startWaiting(7);
    close(writer);
    expect(hasEnded(pid)).toBe(true);
    expect(statusOf(pid)).toEqual([pid, [7, 0]]);
  });

  test('returns the pid and signal of a child that was killed', () => {
    const { pid } = startWaiting();
    native.kill(pid, -1, signals.SIGKILL);
    expect(hasEnded(pid)).toBe(true);
    expect(statusOf(pid)).toEqual([pid, [-1, signals.SIGKILL]]);
  });

  test('returns -ECHILD for a child that was reaped', () => {
    const { pid, writer } = startWaiting();
    close(writer);
    reap(pid);
    expect(waitpidNow(pid)).toEqual([-errno.ECHILD, [-7, -7]]);
  });

  test('returns -ECHILD for any other process, and reaps no child', () => {
    const { pid, writer } = startWaiting();
    close(writer);
    expect(hasEnded(pid)).toBe(true);
    for (const other of [process.pid, process.ppid, 0, -1]) {
      expect(waitpidNow(other)[0]).toBe(-errno.ECHILD);
    }
    expect(reap(pid)).toEqual([0, 0]);
  });
});

describe('an exit fd', () => {
  closeAndCheckLeaks();

  test('becomes readable when the process ends, and stays readable', () => {
    const { pid, writer } = startWaiting();
    const exit = own(native.exitFd(pid));
    expect(isReadable(exit, 0)).toBe(false);
    close(writer);
    expect(isReadable(exit)).toBe(true);
    expect(isReadable(exit, 0)).toBe(true);
    expect(waitpid(pid, new Int32Array(2))).toBe(pid);
    expect(isReadable(exit, 0)).toBe(true);
  });

  test('can be added to a selector', () => {
    const { pid, writer } = startWaiting();
    const exit = own(native.exitFd(pid));
    const selector = own(native.selectorOpen());
    expect(native.selectorAdd(selector, exit)).toBe(0);
    const ready = new Int32Array(2);
    expect(native.selectorWait(selector, ready, 0)).toBe(0);
    close(writer);
    expect(native.selectorWait(selector, ready, 10_000)).toBe(1);
    expect(ready[0]).toBe(exit);
    reap(pid);
  });

  onLinux(
    'can be opened for a process that has ended but was not reaped',
    () => {
      const { pid, writer } = startWaiting();
      const first = own(native.exitFd(pid));
      close(writer);
      isReadable(first);
      const second = own(native.exitFd(pid));
      expect(isReadable(second, 0)).toBe(true);
      reap(pid);
    },
  );

  test('cannot be opened for a process that does not exist', () => {
    expect(native.exitFd(noPid)).toBe(-errno.ESRCH);
  });
});

describe('kill', () => {
  closeAndCheckLeaks();

  test('sends a signal through an exit fd', () => {
    const { pid } = startWaiting();
    const exit = own(native.exitFd(pid));
    expect(native.kill(pid, exit, signals.SIGTERM)).toBe(0);
    expect(reap(pid)).toEqual([-1, signals.SIGTERM]);
  });

  test('sends a signal by pid', () => {
    const { pid } = startWaiting();
    expect(native.kill(pid, -1, 0)).toBe(0);
    expect(native.kill(pid, -1, signals.SIGINT)).toBe(0);
    expect(reap(pid)).toEqual([-1, signals.SIGINT]);
  });

  test('returns -ESRCH when the process is gone', () => {
    const { pid, writer } = startWaiting();
    const exit = own(native.exitFd(pid));
    close(writer);
    reap(pid);
    expect(native.kill(pid, exit, signals.SIGTERM)).toBe(-errno.ESRCH);
    expect(native.kill(noPid, -1, signals.SIGTERM)).toBe(-errno.ESRCH);
  });

  onLinux('does not reach another process that has got the pid', () => {
    const gone = startWaiting();
    const exit = own(native.exitFd(gone.pid));
    close(gone.writer);
    reap(gone.pid);
    // Another process stands for one with the same pid: kill uses the exit fd.
    const other = startWaiting();
    expect(native.kill(other.pid, exit, signals.SIGKILL)).toBe(-errno.ESRCH);
    expect(waitpidNow(other.pid)[0]).toBe(0);
    close(other.writer);
    expect(reap(other.pid)).toEqual([0, 0]);
  });

  test('returns -EINVAL for an invalid signal', () => {
    expect(native.kill(process.pid, -1, 1000)).toBe(-errno.EINVAL);
  });
});

describe('the death signal', () => {
  onLinux(
    'is refused when the parent is not the expected process',
    async () => {
      const { stdout } = await runProgram(`
      const { setDeathSignal } = native;
      console.log(setDeathSignal(signals.SIGKILL, process.ppid));
      console.log(setDeathSignal(signals.SIGKILL, process.pid));
      console.log(setDeathSignal(0, 0));
      console.log(setDeathSignal(1000, process.ppid));
    `);
      const { ESRCH, EINVAL } = errno;
      expect(stdout).toBe(`0\n${-ESRCH}\n0\n${-EINVAL}\n`);
    },
  );

  onLinux('ends a worker that has asked for it', async () => {
    const { stdout } = await runProgram(`
      const { spawn } = require('node:child_process');
      const source = \`
        const { native } = require(\${JSON.stringify(binding)});
        native.setDeathSignal(9, process.ppid);
        require('node:fs').writeSync(1, 'ready');
        native.poll(new Int32Array(0), 0, -1);
      \`;
      // The child inherits stderr, which ends only when the child has ended.
      const stdio = ['ignore', 'pipe', 'inherit'];
      const child = spawn(process.execPath, ['-e', source], { stdio });
      child.stdout.once('data', () => process.exit());
    `);
    expect(stdout).toBe('');
  });
});

test('exitNow ends the process without exit handlers', async () => {
  const { stdout } = await runProgram(`
    process.on('exit', () => console.log('handler'));
    native.exitNow(0);
  `);
  expect(stdout).toBe('');
});
