import { join } from 'node:path';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { native } from '../../dist/system/binding.js';
import { type Pipe, openPipe } from '../../dist/system/fd.js';
import { selector } from '../../dist/system/selector.js';
import { checkLeaks } from '../helpers/leaks.js';
import { runNode } from '../helpers/program.js';
import { thrown } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

const limitMs = 10_000 * timeoutFactor;
const pipes: Pipe[] = [];

function open(): Pipe {
  const pipe = openPipe('test pipe');
  pipes.push(pipe);
  return pipe;
}

function put({ writer }: Pipe): void {
  native.write(writer.number, Buffer.from('x'), 0, 1);
}

function take({ reader }: Pipe): void {
  native.read(reader.number, Buffer.alloc(1), 0, 1);
}

/** A turn that has something to call; it fails instead of hanging. */
function turnUntilCall(): void {
  const start = performance.now();
  selector.turn(limitMs);
  expect(performance.now() - start).toBeLessThan(limitMs);
}

afterEach(() => {
  for (const { reader, writer } of pipes.splice(0)) {
    selector.remove(reader.number);
    reader.close();
    writer.close();
  }
  selector.flush();
});
checkLeaks(async () => selector.turn(0));

test('a turn calls the handlers of readable fds, as long as they are', () => {
  const [ready, idle] = [open(), open()];
  const called: string[] = [];
  selector.add(ready.reader.number, () => called.push('ready'));
  selector.add(idle.reader.number, () => called.push('idle'));
  put(ready);
  selector.turn(0);
  selector.turn(0);
  expect(called).toEqual(['ready', 'ready']);
  take(ready);
  selector.turn(0);
  expect(called.length).toBe(2);
});

test('the end of a pipe counts as readable', () => {
  const pipe = open();
  let calls = 0;
  selector.add(pipe.reader.number, () => (calls += 1));
  pipe.writer.close();
  selector.turn(0);
  expect(calls).toBe(1);
});

test('the event loop calls the handlers too', async () => {
  const pipe = open();
  let isCalled = false;
  selector.add(pipe.reader.number, () => {
    take(pipe);
    isCalled = true;
  });
  selector.hold();
  put(pipe);
  await until('the event loop to call back', () => isCalled);
  selector.release();
});

test('a turn waits for at least its timeout, and returns after it', () => {
  selector.add(open().reader.number, () => undefined);
  const start = performance.now();
  selector.turn(20);
  expect(performance.now() - start).toBeGreaterThanOrEqual(19);
});

test('a turn ends as soon as an fd is readable', () => {
  const pipe = open();
  selector.add(pipe.reader.number, () => take(pipe));
  put(pipe);
  turnUntilCall();
});

test('postponed steps run after the handlers, in order', () => {
  const [first, second] = [open(), open()];
  const order: string[] = [];
  for (const pipe of [first, second]) {
    selector.add(pipe.reader.number, () => {
      take(pipe);
      order.push('handler');
      selector.later(() => {
        order.push('step');
        selector.later(() => order.push('later step'));
      });
    });
    put(pipe);
  }
  selector.turn(0);
  expect(order).toEqual([
    ...['handler', 'handler'],
    ...['step', 'step'],
    ...['later step', 'later step'],
  ]);
});

test('a postponed step may take turns', () => {
  const [outer, inner] = [open(), open()];
  const order: string[] = [];
  selector.add(outer.reader.number, () => {
    take(outer);
    selector.later(() => {
      order.push('outer step');
      put(inner);
      turnUntilCall();
      order.push('outer step goes on');
    });
  });
  selector.add(inner.reader.number, () => {
    take(inner);
    selector.later(() => order.push('inner step'));
  });
  put(outer);
  selector.turn(0);
  expect(order).toEqual(['outer step', 'inner step', 'outer step goes on']);
});

test('a removed handler is not called, even for the current turn', () => {
  const both = [open(), open()];
  const called: number[] = [];
  for (const [i, pipe] of both.entries()) {
    put(pipe);
    selector.add(pipe.reader.number, () => {
      called.push(i);
      selector.remove(both[1 - i]!.reader.number);
    });
  }
  selector.turn(0);
  expect(called.length).toBe(1);
});

test('removing an fd that was not added does nothing', () => {
  const { reader } = open();
  selector.remove(reader.number);
  selector.remove(-1);
  selector.add(reader.number, () => undefined);
  selector.remove(reader.number);
  selector.remove(reader.number);
});

test('add throws and tryAdd returns false for an unusable fd', () => {
  expect(thrown(() => selector.add(-1, () => undefined))).toMatchObject({
    code: 'EBADF',
  });
  expect(selector.tryAdd(-1, () => undefined)).toBe(false);
  const pipe = open();
  let calls = 0;
  expect(selector.tryAdd(pipe.reader.number, () => (calls += 1))).toBe(true);
  put(pipe);
  selector.turn(0);
  expect(calls).toBe(1);
});

test('all fds are served although one turn takes only some of them', () => {
  const many = Array.from({ length: 200 }, () => open());
  const called = new Set<number>();
  for (const [i, pipe] of many.entries()) {
    put(pipe);
    selector.add(pipe.reader.number, () => {
      take(pipe);
      called.add(i);
    });
  }
  for (let turn = 0; turn < 10; turn++) selector.turn(0);
  expect(called.size).toBe(200);
});

test('a poll function is called by the event loop and by turns', async () => {
  let asked = 0;
  const onPoll = (): void => {
    asked += 1;
  };
  selector.poll(onPoll);
  await until('the event loop to ask', () => asked > 2);
  const before = asked;
  // Nothing else would end this turn.
  turnUntilCall();
  expect(asked).toBeGreaterThan(before);
  selector.stopPolling(onPoll);
  const stopped = asked;
  selector.turn(20);
  await turnOfLoop();
  expect(asked).toBe(stopped);
});

describe('the event loop', () => {
  const file = join(__dirname, '../../dist/system/selector.js');
  const fd = join(__dirname, '../../dist/system/fd.js');
  const run = (text: string) =>
    runNode([
      '-e',
      `const { selector } = require(${JSON.stringify(file)});` +
        `const { openPipe } = require(${JSON.stringify(fd)});` +
        `const { reader, writer } = openPipe('pipe');` +
        `selector.add(reader.number, () => {` +
        `  selector.remove(reader.number); selector.release();` +
        `  console.log('called'); });${text}`,
    ]);

  test('ends while fds are watched when it is not held', async () => {
    expect(await run('')).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test('need not run for a turn without a timeout', async () => {
    const text =
      'selector.hold();' +
      `setTimeout(() => { throw new Error('the event loop ran'); }, 0);` +
      `require('node:fs').writeSync(writer.number, 'x');` +
      'selector.turn(-1); process.exit();';
    expect(await run(text)).toMatchObject({
      code: 0,
      stdout: 'called\n',
      stderr: '',
    });
  });

  test('continues while it is held', async () => {
    const text =
      'selector.hold();' +
      `setTimeout(() => require('node:fs').writeSync(writer.number, 'x'), 50)` +
      '.unref();';
    expect(await run(text)).toMatchObject({
      code: 0,
      stdout: 'called\n',
      stderr: '',
    });
  });
});
