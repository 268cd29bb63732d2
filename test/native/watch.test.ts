import { native } from '../../dist/system/binding.js';
import { until } from '../helpers/until.js';
import {
  close,
  closeAndCheckLeaks,
  errno,
  openPipe,
  read,
  runProgram,
  runProgramToAnyEnd,
  write,
} from './verbs.js';

// The first lines of the programs below: a pipe, and functions to use it.
const withPipe = `
  const ends = new Int32Array(2);
  native.pipe(ends);
  const [reader, writer] = ends;
  const byte = new Uint8Array(1);
  const give = () => native.write(writer, byte, 0, 1);
  const take = () => native.read(reader, byte, 0, 1);
  // Another process writes, because no event loop waits for that.
  const giveLater = () => {
    const argv = ['/bin/sh', '-c', 'sleep 0.1; printf x'];
    const table = Int32Array.of(0, writer, 1);
    native.spawn('/bin/sh', argv, ['PATH=/bin:/usr/bin'], '/', table);
  };
`;

async function printedBy(source: string, args?: string[]): Promise<string> {
  const { stdout } = await runProgram(withPipe + source, args);
  return stdout.trim();
}

describe('a watch', () => {
  closeAndCheckLeaks();

  test('calls back while its fd is readable, until unwatch', async () => {
    const [reader, writer] = openPipe();
    let calls = 0;
    const watch = native.watch(reader, () => {
      calls += 1;
      if (calls === 3) read(reader);
    });
    if (typeof watch === 'number') throw new Error(`watch: ${watch}`);
    write(writer, 'x');
    await until('three calls', () => calls === 3);
    write(writer, 'x');
    await until('a call for the second byte', () => calls > 3);
    native.unwatch(watch);
    const before = calls;
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(before);
  });

  test('calls back at the end of a pipe', async () => {
    const [reader, writer] = openPipe();
    let isCalled = false;
    const watch = native.watch(reader, () => {
      isCalled = true;
    });
    close(writer);
    await until('a call', () => isCalled);
    if (typeof watch !== 'number') native.unwatch(watch);
  });

  test('calls back at once while the callback returns true, but drains the queues in between', async () => {
    const [reader, writer] = openPipe();
    const steps: string[] = [];
    const watch = native.watch(reader, () => {
      if (steps.length === 0) read(reader);
      steps.push('call');
      void Promise.resolve().then(() => steps.push('microtask'));
      process.nextTick(() => steps.push('tick'));
      return steps.length < 6;
    });
    write(writer, 'x');
    await until('the calls', () => steps.length === 9);
    const each = ['call', 'tick', 'microtask'];
    expect(steps).toEqual([...each, ...each, ...each]);
    if (typeof watch !== 'number') native.unwatch(watch);
  });

  test('keeps calling back for an fd in an error state', async () => {
    const [reader, writer] = openPipe();
    let calls = 0;
    const watch = native.watch(writer, () => (calls += 1));
    close(reader);
    await until('some calls', () => calls > 2);
    if (typeof watch !== 'number') native.unwatch(watch);
  });

  test('cannot be opened for an fd that is closed or already watched', () => {
    const [reader] = openPipe();
    const watch = native.watch(reader, () => undefined);
    expect(native.watch(1_000_000, () => undefined)).toBe(-errno.EBADF);
    expect(native.watch(reader, () => undefined)).toBe(-errno.EEXIST);
    if (typeof watch !== 'number') native.unwatch(watch);
  });

  test('does not change the blocking mode of its fd', async () => {
    const printed = await printedBy(`
      const watch = native.watch(reader, () => undefined);
      giveLater();
      // It would return -EAGAIN if the pipe were non-blocking.
      console.log(take());
      native.unwatch(watch);
    `);
    expect(printed).toBe('1');
  });

  test('keeps the event loop running', async () => {
    const printed = await printedBy(`
      const watch = native.watch(reader, () => {
        native.unwatch(watch);
        console.log('called');
      });
      giveLater();
    `);
    expect(printed).toBe('called');
  });

  test('lets the program end when it is unreferenced', async () => {
    const printed = await printedBy(`
      const watch = native.watch(reader, () => undefined);
      native.refWatch(watch, false);
      console.log('last line');
    `);
    expect(printed).toBe('last line');
  });

  test('keeps the event loop running when it is referenced again', async () => {
    const printed = await printedBy(`
      const watch = native.watch(reader, () => {
        native.unwatch(watch);
        console.log('called');
      });
      native.refWatch(watch, false);
      native.refWatch(watch, true);
      giveLater();
    `);
    expect(printed).toBe('called');
  });

  test('runs ticks and microtasks after each call', async () => {
    const printed = await printedBy(`
      give();
      let calls = 0;
      const watch = native.watch(reader, () => {
        calls += 1;
        const call = calls;
        console.log('call', call);
        process.nextTick(() => console.log('tick', call));
        Promise.resolve().then(() => console.log('microtask', call));
        if (calls === 2) native.unwatch(watch);
      });
    `);
    expect(printed.split('\n')).toEqual([
      'call 1',
      'tick 1',
      'microtask 1',
      'call 2',
      'tick 2',
      'microtask 2',
    ]);
  });

  test('keeps the async context in which it was opened', async () => {
    const printed = await printedBy(`
      const { AsyncLocalStorage } = require('node:async_hooks');
      const storage = new AsyncLocalStorage();
      give();
      storage.run('inside', () => {
        const watch = native.watch(reader, () => {
          console.log(storage.getStore());
          native.unwatch(watch);
        });
      });
    `);
    expect(printed).toBe('inside');
  });

  test('may be closed in its callback, and more than once', async () => {
    const printed = await printedBy(`
      give();
      let calls = 0;
      const watch = native.watch(reader, () => {
        calls += 1;
        native.unwatch(watch);
        native.unwatch(watch);
        native.refWatch(watch, true);
        native.close(reader);
        process.on('exit', () => console.log(calls));
      });
    `);
    expect(printed).toBe('1');
  });

  test('can be opened again for the same fd', async () => {
    const printed = await printedBy(`
      give();
      native.unwatch(native.watch(reader, () => console.log('first')));
      const watch = native.watch(reader, () => {
        console.log('second');
        native.unwatch(watch);
      });
    `);
    expect(printed).toBe('second');
  });

  test('passes an exception of its callback to uncaughtException', async () => {
    const printed = await printedBy(`
      give();
      process.on('uncaughtException', ({ message }) => {
        console.log(message, take());
      });
      let calls = 0;
      const watch = native.watch(reader, () => {
        calls += 1;
        if (calls < 2) throw new Error('thrown');
        native.unwatch(watch);
      });
      process.on('uncaughtException', give);
    `);
    expect(printed).toBe('thrown 1');
  });

  test('ends the program when its callback throws', async () => {
    const { code, stderr } = await runProgramToAnyEnd(`
      ${withPipe}
      give();
      native.watch(reader, () => { throw new Error('thrown'); });
    `);
    expect(code).toBe(1);
    expect(stderr).toContain('Error: thrown');
  });

  test('continues when its JavaScript value is garbage collected', async () => {
    const printed = await printedBy(
      `
        let calls = 0;
        (() => native.watch(reader, () => {
          take();
          calls += 1;
          console.log('call', calls);
          if (calls === 3) process.exit();
          next();
        }))();
        function next() {
          gc();
          setImmediate(() => { gc(); give(); });
        }
        next();
      `,
      ['--expose-gc'],
    );
    expect(printed.split('\n')).toEqual(['call 1', 'call 2', 'call 3']);
  });
});
