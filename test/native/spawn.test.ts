import { openSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { check, native } from '../../dist/system/binding.js';
import {
  close,
  closeAndCheckLeaks,
  environment,
  errno,
  onLinux,
  openPipe,
  outputOf,
  own,
  read,
  readToEnd,
  reap,
  runProgram,
  runProgramToAnyEnd,
  signals,
  start,
  startNode,
  write,
} from './verbs.js';

const path = 'PATH=/usr/bin:/bin';

function shell(script: string): string[] {
  return ['/bin/sh', '-c', script];
}

describe('spawn', () => {
  closeAndCheckLeaks();

  test('returns the pid of the program', () => {
    const [reader, writer] = openPipe();
    const pid = start({ argv: shell('echo $$'), fds: [[writer, 1]] });
    close(writer);
    expect(readToEnd(reader)).toBe(`${pid}\n`);
    expect(reap(pid)).toEqual([0, 0]);
  });

  test('passes argv unchanged', () => {
    const argv = [
      'sh',
      '-c',
      'printf "[%s]" "$0" "$@"',
      'a b',
      '',
      'ä€😀',
      '\n',
    ];
    const output = outputOf({ file: '/bin/sh', argv });
    expect(output).toBe('[a b][][ä€😀][\n]');
  });

  test('passes env unchanged, and adds nothing', () => {
    const env = ['A=b c', 'EMPTY=', 'UNICODE=ä€😀', 'LINES=1\n2', 'EQUALS=a=b'];
    const output = outputOf({ argv: ['/usr/bin/env'], env });
    expect(output).toBe(env.map((each) => `${each}\n`).join(''));
    expect(outputOf({ argv: ['/usr/bin/env'] })).toBe('');
  });

  test('passes long and many strings', () => {
    const long = 'x'.repeat(100_000);
    const env = Array.from({ length: 500 }, (_, i) => `V${i}=${i}`);
    const argv = [...shell('printf %s "$0" | wc -c; env | grep -c ^V'), long];
    expect(outputOf({ argv, env: [path, ...env] }).match(/\d+/g)).toEqual([
      '100000',
      '500',
    ]);
  });

  test('refuses a string with a zero byte', () => {
    expect(start({ argv: ['/bin/sh', 'a\0b'] })).toBe(-errno.EINVAL);
    expect(start({ argv: ['/bin/sh'], env: ['A=\0'] })).toBe(-errno.EINVAL);
  });

  test('starts in cwd', () => {
    const cwd = realpathSync(tmpdir());
    expect(outputOf({ argv: shell('pwd -P'), cwd })).toBe(`${cwd}\n`);
  });

  test('returns the errno of an exec that fails', () => {
    expect(start({ argv: ['/does/not/exist'] })).toBe(-errno.ENOENT);
    expect(start({ argv: ['/etc/passwd'] })).toBe(-errno.EACCES);
  });

  test('returns the errno of a cwd that cannot be entered', () => {
    const argv = ['/bin/sh'];
    expect(start({ argv, cwd: '/does/not/exist' })).toBe(-errno.ENOENT);
    expect(start({ argv, cwd: '/etc/passwd' })).toBe(-errno.ENOTDIR);
  });

  test('returns -EBADF for a source fd that is not open', () => {
    const argv = ['/bin/sh'];
    expect(start({ argv, fds: [[1_000_000, 3]] })).toBe(-errno.EBADF);
    expect(start({ argv, fds: [[-1, 3]] })).toBe(-errno.EBADF);
  });

  test('does not change the table of fds', () => {
    const [reader] = openPipe();
    const table = Int32Array.of(0, reader, 5);
    const pid = native.spawn('/bin/sh', shell('exit 0'), [], '/', table);
    expect(Array.from(table)).toEqual([0, reader, 5]);
    reap(pid);
  });
});

describe('the fds of a spawned program', () => {
  closeAndCheckLeaks();

  test('may swap their numbers', () => {
    const [firstReader, first] = openPipe();
    const [secondReader, second] = openPipe();
    const source = `
      const { writeSync } = require('node:fs');
      writeSync(${first}, 'through first');
      writeSync(${second}, 'through second');
    `;
    const pid = startNode(source, [
      [first, second],
      [second, first],
    ]);
    close(first);
    close(second);
    expect(readToEnd(firstReader)).toBe('through second');
    expect(readToEnd(secondReader)).toBe('through first');
    expect(reap(pid)).toEqual([0, 0]);
  });

  test('may shift their numbers in a chain', () => {
    const [firstReader, first] = openPipe();
    const [secondReader, second] = openPipe();
    const argv = shell('echo one >&3; echo two >&4; echo three >&5');
    const [sourceOne, sourceTwo] = [3, 4];
    // The fds of this program are also the targets, shifted by one.
    const script = `
      const argv = ${JSON.stringify(argv)};
      const table = Int32Array.of(0, ${sourceOne}, 4, ${sourceTwo}, 5, 4, 3);
      const pid = native.spawn('/bin/sh', argv, [], '/', table);
      const status = new Int32Array(2);
      while (native.waitpid(pid, status) === 0) {
        native.poll(new Int32Array(0), 0, 1);
      }
    `;
    const pid = startNode(script, [
      [first, 3],
      [second, 4],
    ]);
    close(first);
    close(second);
    expect(reap(pid)).toEqual([0, 0]);
    expect(readToEnd(firstReader)).toBe('two\n');
    expect(readToEnd(secondReader)).toBe('one\nthree\n');
  });

  test('may keep their numbers and have several targets', () => {
    const [reader, writer] = openPipe();
    const source = `
      const { writeSync } = require('node:fs');
      for (const fd of [${writer}, 3, 4]) writeSync(fd, fd + ' ');
    `;
    const pid = startNode(source, [
      [writer, writer],
      [writer, 3],
      [writer, 4],
    ]);
    close(writer);
    expect(readToEnd(reader)).toBe(`${writer} 3 4 `);
    reap(pid);
  });

  test('stay close-on-exec in the parent', () => {
    const [reader, writer] = openPipe();
    reap(check(start({ argv: shell('exit'), fds: [[writer, writer]] }), 'sh'));
    // The reader reaches the end although a child without the fd still runs.
    const pid = check(start({ argv: ['/bin/sleep', '60'] }), 'sleep');
    close(writer);
    expect(readToEnd(reader)).toBe('');
    native.kill(pid, -1, signals.SIGKILL);
    expect(reap(pid)).toEqual([-1, signals.SIGKILL]);
  });

  onLinux('are only those of the table', () => {
    const inheritable = own(openSync('/dev/null', 'r'));
    const low = own(native.dup(inheritable));
    for (const fd of [inheritable, low]) native.setCloseOnExec(fd, false);
    const [other] = openPipe();
    native.setCloseOnExec(other, false);
    const argv = ['/bin/ls', '/proc/self/fd'];
    // fd 0 is the directory that ls itself reads.
    expect(outputOf({ argv }).split('\n')).toEqual(['0', '1', '']);
    expect(outputOf({ argv, fds: [[other, 4]] }).split('\n')).toEqual([
      '0',
      '1',
      '4',
      '',
    ]);
    const high = 400;
    expect(outputOf({ argv, fds: [[other, high]] }).split('\n')).toEqual([
      '0',
      '1',
      String(high),
      '',
    ]);
  });

  test('carry bytes from and to the parent', () => {
    const [orderReader, order] = openPipe();
    const [reader, writer] = openPipe();
    write(order, 'line\n');
    const pid = start({
      argv: shell('read line; echo "got $line"'),
      fds: [
        [orderReader, 0],
        [writer, 1],
      ],
    });
    close(writer);
    expect(readToEnd(reader)).toBe('got line\n');
    reap(check(pid, 'spawn'));
    expect(read(reader)).toBe(0);
  });
});

describe('the signals of a spawned program', () => {
  closeAndCheckLeaks();

  onLinux('are not ignored, even if the parent does so', () => {
    // Node itself ignores SIGPIPE.
    const output = outputOf({ argv: ['/bin/cat', '/proc/self/status'] });
    expect(output.match(/^Sig(Ign|Cgt):\s0{16}$/gm)).toHaveLength(2);
  });

  onLinux('are blocked if they are stop signals of a terminal', () => {
    const output = outputOf({ argv: ['/bin/cat', '/proc/self/status'] });
    // SIGTSTP, SIGTTIN and SIGTTOU.
    expect(output).toMatch(/^SigBlk:\s0{10}380000$/m);
  });

  onLinux('are all unblocked by node', () => {
    const script = 'fs.readFileSync("/proc/self/status", "utf8")';
    const argv = [process.execPath, '-p', script];
    expect(outputOf({ argv })).toMatch(/^SigBlk:\s0{16}$/m);
  });

  test('have their default action if the parent has a handler', async () => {
    const { stdout } = await runProgram(`
      process.on('SIGTERM', () => undefined);
      const argv = ['/bin/sh', '-c', 'kill -TERM $$; sleep 60'];
      const env = ['PATH=/bin:/usr/bin'];
      const pid = native.spawn('/bin/sh', argv, env, '/', Int32Array.of(0));
      const status = new Int32Array(2);
      let result;
      while ((result = native.waitpid(pid, status)) === 0) {
        native.poll(new Int32Array(0), 0, 1);
      }
      console.log(result === pid, status[1]);
    `);
    expect(stdout.trim()).toBe(`true ${signals.SIGTERM}`);
  });

  test('are set up correctly while signals arrive at the parent', async () => {
    await runProgram(`
      let count = 0;
      process.on('SIGUSR2', () => { count += 1; });
      const script = 'while kill -USR2 ' + process.pid + '; do :; done';
      const fds = Int32Array.of(0);
      const loop = ['sh', '-c', script];
      const sender = native.spawn('/bin/sh', loop, [], '/', fds);
      let failures = 0;
      let rounds = 0;
      const status = new Int32Array(2);
      function round() {
        const argv = ['/bin/sh', '-c', 'exit 7'];
        const pid = native.spawn('/bin/sh', argv, [], '/', fds);
        while (native.waitpid(pid, status) === 0) {
          native.poll(new Int32Array(0), 0, 1);
        }
        if (status[0] !== 7) failures += 1;
        rounds += 1;
        if (rounds < 100) return setImmediate(round);
        native.kill(sender, -1, signals.SIGKILL);
        process.exit(failures + (count > 0 ? 0 : 1));
      }
      round();
    `);
  });

  onLinux('include the death signal when the parent is killed', async () => {
    // The output ends only when the child, which inherits it, has ended too.
    const { signal, stdout } = await runProgramToAnyEnd(`
      const table = Int32Array.of(signals.SIGTERM, 1, 1);
      const argv = ['/bin/sleep', '60'];
      const pid = native.spawn('/bin/sleep', argv, [], '/', table);
      require('node:fs').writeSync(1, pid > 0 ? 'started' : 'failed');
      process.kill(process.pid, 'SIGKILL');
    `);
    expect([signal, stdout]).toEqual(['SIGKILL', 'started']);
  });
});

test('spawn starts node with the environment of this process', () => {
  const argv = [process.execPath, '-p', '6 * 7'];
  expect(outputOf({ argv, env: environment })).toBe('42\n');
});
