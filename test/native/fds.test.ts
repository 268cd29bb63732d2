import { spawnSync } from 'node:child_process';
import { constants, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { lostFd, native } from '../../dist/system/binding.js';
import { runProgram } from '../helpers/program.js';
import {
  close,
  closeAndCheckLeaks,
  errno,
  onLinux,
  openPipe,
  own,
  read,
  withProc,
  write,
} from './verbs.js';

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

// An fd number that no test opens.
const noFd = 1_000_000;

function hasCloseOnExec(fd: number): boolean {
  const flags = /^flags:\s*(\d+)/m.exec(
    readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'),
  );
  return (parseInt(flags![1]!, 8) & 0o2000000) !== 0;
}

describe('open', () => {
  closeAndCheckLeaks();

  withProc('opens a file close-on-exec, with the flags given', () => {
    const fd = own(native.open('/dev/zero', constants.O_RDONLY));
    expect(hasCloseOnExec(fd)).toBe(true);
    expect(native.read(fd, new Uint8Array(1), 0, 1)).toBe(1);
    expect(write(fd, 'x')).toBe(-errno.EBADF);
  });

  test.each([
    ['/dev/null/none', -errno.ENOTDIR],
    ['/dev/null\0', -errno.EINVAL],
  ])('returns the error of opening %j', (path, error) => {
    expect(native.open(path, constants.O_RDONLY)).toBe(error);
  });
});

describe('a pipe', () => {
  closeAndCheckLeaks();

  test('carries bytes from writer to reader', () => {
    const [reader, writer] = openPipe();
    expect(write(writer, 'bytes')).toBe(5);
    expect(read(reader)).toBe('bytes');
  });

  test('returns -EAGAIN when it is empty and non-blocking', () => {
    const [reader] = openPipe();
    expect(native.setNonBlocking(reader, true)).toBe(0);
    expect(read(reader)).toBe(-errno.EAGAIN);
  });

  test('returns 0 at its end, after the remaining bytes', () => {
    const [reader, writer] = openPipe();
    write(writer, 'last');
    close(writer);
    expect(read(reader)).toBe('last');
    expect(read(reader)).toBe(0);
  });

  test('returns -EPIPE when its reader is closed', () => {
    const [reader, writer] = openPipe();
    close(reader);
    expect(write(writer, 'x')).toBe(-errno.EPIPE);
  });

  test('takes what fits when it is non-blocking, then returns -EAGAIN', () => {
    const [, writer] = openPipe();
    native.setNonBlocking(writer, true);
    const bytes = new Uint8Array(1 << 22);
    const count = native.write(writer, bytes, 0, bytes.length);
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(bytes.length);
    expect(native.write(writer, bytes, 0, 1)).toBe(-errno.EAGAIN);
  });

  test('reads and writes the requested part of the bytes', () => {
    const [reader, writer] = openPipe();
    expect(native.write(writer, Buffer.from('abcdef'), 2, 3)).toBe(3);
    const bytes = Buffer.from('......');
    expect(native.read(reader, bytes, 1, 2)).toBe(2);
    expect(bytes.toString()).toBe('.cd...');
    expect(native.read(reader, bytes, 6, 0)).toBe(0);
  });

  test('can be made blocking again', () => {
    const [reader, writer] = openPipe();
    native.setNonBlocking(reader, true);
    expect(native.setNonBlocking(reader, false)).toBe(0);
    write(writer, 'x');
    expect(read(reader)).toBe('x');
  });
});

describe('a socket pair', () => {
  closeAndCheckLeaks();

  function openSockets(packets: boolean): [number, number] {
    const ends = new Int32Array(2);
    expect(native.socketpair(ends, packets)).toBe(0);
    return [own(ends[0]!), own(ends[1]!)];
  }

  test('carries bytes both ways', () => {
    const [left, right] = openSockets(false);
    write(left, 'there');
    expect(read(right)).toBe('there');
    write(right, 'back');
    expect(read(left)).toBe('back');
  });

  onLinux('keeps the boundaries of packets', () => {
    const [left, right] = openSockets(true);
    write(left, 'one');
    write(left, 'two');
    expect(read(right)).toBe('one');
    expect(read(right)).toBe('two');
    close(left);
    expect(read(right)).toBe(0);
  });
});

describe('an fd', () => {
  closeAndCheckLeaks();

  test('is duplicated to a number of at least 3', () => {
    const [reader, writer] = openPipe();
    const copy = own(native.dup(writer));
    expect(copy).toBeGreaterThanOrEqual(3);
    close(writer);
    write(copy, 'x');
    expect(read(reader)).toBe('x');
  });

  test('that is not open makes every function return -EBADF', () => {
    const bytes = new Uint8Array(1);
    expect([
      native.read(noFd, bytes, 0, 1),
      native.write(noFd, bytes, 0, 1),
      native.close(noFd),
      native.dup(noFd),
      native.setCloseOnExec(noFd, true),
      native.setNonBlocking(noFd, true),
      native.read(-1, bytes, 0, 1),
    ]).toEqual(Array(7).fill(-errno.EBADF));
  });

  withProc(
    'is close-on-exec from the start, whichever function opens it',
    () => {
      const sockets = new Int32Array(2);
      native.socketpair(sockets, false);
      const [reader, writer] = openPipe();
      const fds = [
        reader,
        writer,
        own(sockets[0]!),
        own(sockets[1]!),
        own(native.dup(reader)),
        own(native.anonymousFile()),
        own(native.selectorOpen()),
        own(native.exitFd(process.pid)),
      ];
      expect(fds.map(hasCloseOnExec)).toEqual(fds.map(() => true));
    },
  );

  withProc('can lose and regain close-on-exec', () => {
    const [reader] = openPipe();
    expect(native.setCloseOnExec(reader, false)).toBe(0);
    expect(hasCloseOnExec(reader)).toBe(false);
    expect(native.setCloseOnExec(reader, true)).toBe(0);
    expect(hasCloseOnExec(reader)).toBe(true);
  });
});

describe('an anonymous file', () => {
  closeAndCheckLeaks();

  test('is empty at first, and stores what is written', () => {
    const file = own(native.anonymousFile());
    expect(read(file)).toBe(0);
    expect(write(file, 'kept')).toBe(4);
    const bytes = Buffer.alloc(4);
    expect(native.readAt(file, bytes, 0, 4, 0)).toBe(4);
    expect(bytes.toString()).toBe('kept');
  });

  test('can be read from any position, independent of its offset', () => {
    const file = own(native.anonymousFile());
    write(file, 'abcdef');
    const bytes = Buffer.from('......');
    expect(native.readAt(file, bytes, 1, 2, 3)).toBe(2);
    expect(bytes.toString()).toBe('.de...');
    expect(native.readAt(file, bytes, 0, 6, 4)).toBe(2);
    expect(native.readAt(file, bytes, 0, 6, 6)).toBe(0);
    expect(native.readAt(noFd, bytes, 0, 1, 0)).toBe(-errno.EBADF);
  });

  onLinux('is shared by its duplicates', () => {
    const file = own(native.anonymousFile());
    write(file, 'kept');
    const copy = own(native.dup(file));
    // Opening it anew gives it an offset of its own.
    expect(readFileSync(`/proc/self/fd/${copy}`, 'utf8')).toBe('kept');
  });
});

(hasPrlimit ? test : test.skip)(
  'a message of which fds are lost gives none, and keeps none open',
  async () => {
    const program = resolve('test', 'fixtures', 'few-descriptors.mjs');
    const args = ['--nofile=60', process.execPath, program];
    const { stdout } = await runProgram('prlimit', args);
    const lost = [lostFd, lostFd, lostFd, lostFd];
    expect(JSON.parse(stdout)).toEqual([1, ...lost, true, false]);
  },
);
