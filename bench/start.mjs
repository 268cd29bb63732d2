// What does one job in a fresh node cost, over starting node at all?
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';
import { nothing } from './jobs.mjs';
import { inTurn, table } from './measure.mjs';

const js = new Jobserver({ context: 'spawn', slots: 1 });
const child = fileURLToPath(new URL('forked.mjs', import.meta.url));

const times = await inTurn(30, {
  'node -e 0': () =>
    once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit'),
  'spawn job': () => js.run(nothing),
  'child_process.fork': async () => {
    const forked = fork(child, { stdio: 'ignore' });
    await once(forked, 'message');
    forked.kill();
    await once(forked, 'exit');
  },
});
await js.close();

table(
  'One job in a fresh process, from submit to result',
  ['', 'median', 'over `node -e 0`'],
  Object.entries(times).map(([name, ms]) => [
    name,
    `${ms.toFixed(1)} ms`,
    (ms / times['node -e 0']).toFixed(2),
  ]),
);
