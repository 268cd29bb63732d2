import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { useFolder } from '../helpers/folder.js';
import { runNode } from '../helpers/program.js';

const folder = useFolder();

// What stands for vitest's worker does on a request.
const respond = `worker.post({ __vitest_worker_response__: true, type: answers[type] })`;
const workers = {
  'that runs the file': `${respond}; setTimeout(() => undefined, 60_000);`,
  'that refuses to start': `worker.post({
    __vitest_worker_response__: true, type: 'started', error: 'not here',
  });`,
  'that does not answer': `process.env.LEFT_BY_WORKER = '1';`,
  'that throws': `throw new Error('not here');`,
};

test.each(Object.entries(workers))(
  'a rehearsal with a worker %s leaves nothing open in the zygote',
  async (_, onRequest) => {
    const worker = join(folder(), 'worker.mjs');
    writeFileSync(
      worker,
      `import { deserialize } from 'node:v8';
       const answers = { start: 'started', run: 'testfileFinished', stop: 'stopped' };
       export function init(worker) {
         console.log('init');
         worker.on(({ type }) => { ${onRequest} });
       }`,
    );
    const module = JSON.stringify(resolve('dist', 'vitest', 'rehearsal.js'));
    const data = { worker: pathToFileURL(worker).href, config: { root: '/' } };
    const { code, stdout, stderr } = await runNode([
      '-e',
      `const { setUp } = require(${module});
       const { readdirSync, readlinkSync } = require('node:fs');
       const state = () => ({
         sockets: readdirSync('/dev/fd').filter((fd) => {
           try { return readlinkSync('/dev/fd/' + fd).startsWith('socket:'); } catch { return false; }
         }).length,
         timers: process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length,
         listeners: process.listenerCount('uncaughtException'),
         variable: process.env.LEFT_BY_WORKER ?? null,
         setTimeout,
       });
       (async () => {
         const before = state();
         await setUp(${JSON.stringify(data)}, 300);
         require('node:assert').deepStrictEqual(state(), before);
         console.log('done');
       })();`,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^(init\n)+done\n$/);
  },
);
