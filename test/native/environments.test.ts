import { runProgram } from './verbs.js';

// Runs in worker threads, which end in different ways.
const worker = `
  const { native } = require(workerData.binding);
  const ends = new Int32Array(2);
  native.pipe(ends);
  const bytes = new Uint8Array(1);
  let calls = 0;
  native.watch(ends[0], () => {
    native.read(ends[0], bytes, 0, 1);
    calls += 1;
    if (calls < 3) {
      native.write(ends[1], bytes, 0, 1);
    } else {
      parentPort.postMessage('called');
      if (workerData.end === 'exit') process.exit(0);
      if (workerData.end === 'busy') for (;;);
      if (workerData.end === 'throw') throw new Error('expected');
    }
  });
  native.write(ends[1], bytes, 0, 1);
`;

const withWorkers = `
  const { Worker } = require('node:worker_threads');
  const source =
    "const { parentPort, workerData } = require('node:worker_threads');" +
    ${JSON.stringify(worker)};
  async function runThread(end) {
    const workerData = { binding, end };
    const thread = new Worker(source, { eval: true, workerData });
    const ended = new Promise((resolve) => thread.on('exit', resolve));
    thread.on('error', () => undefined);
    await new Promise((resolve) => thread.on('message', resolve));
    if (end === 'terminate' || end === 'busy') await thread.terminate();
    await ended;
  }
`;

describe('the addon', () => {
  test.each(['exit', 'terminate', 'busy', 'throw'])(
    'is released by a thread that ends while it watches: %s',
    async (end) => {
      const { stdout } = await runProgram(`
        ${withWorkers}
        (async () => {
          await runThread('${end}');
          const three = [0, 1, 2].map(() => runThread('${end}'));
          await Promise.all(three);
          console.log('all threads have ended');
        })();
      `);
      expect(stdout).toContain('all threads have ended');
    },
  );

  test('works in several threads at the same time', async () => {
    const { stdout } = await runProgram(`
      ${withWorkers}
      const ends = new Int32Array(2);
      native.pipe(ends);
      const bytes = new Uint8Array(1);
      let calls = 0;
      const watch = native.watch(ends[0], () => {
        native.read(ends[0], bytes, 0, 1);
        calls += 1;
      });
      (async () => {
        await Promise.all([runThread('exit'), runThread('terminate')]);
        native.write(ends[1], bytes, 0, 1);
        while (calls === 0) await new Promise(setImmediate);
        native.unwatch(watch);
        console.log('called');
      })();
    `);
    expect(stdout).toContain('called');
  });

  test('lets a program exit while it watches', async () => {
    await runProgram(`
      const ends = new Int32Array(2);
      native.pipe(ends);
      native.watch(ends[0], () => undefined);
      process.exit(0);
    `);
  });

  test('can be loaded again by a new module registry', async () => {
    const { stdout } = await runProgram(`
      const ends = new Int32Array(2);
      native.pipe(ends);
      for (let i = 0; i < 5; i++) {
        for (const id of Object.keys(require.cache)) delete require.cache[id];
        const again = require(binding).native;
        const copy = again.dup(ends[0]);
        const watch = again.watch(copy, () => {
          again.unwatch(watch);
          console.log('call', i, again === native);
        });
      }
      native.write(ends[1], new Uint8Array(1), 0, 1);
    `);
    const lines = stdout.trim().split('\n').sort();
    expect(lines).toEqual([0, 1, 2, 3, 4].map((i) => `call ${i} false`));
  });
});
