// How much time does it save to preload a module that takes 200 ms to import?
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';
import { inTurn, table } from './measure.mjs';

const heavy = fileURLToPath(new URL('heavy.mjs', import.meta.url));
const job = `${heavy}#nothing`;

const open = async (options) => {
  const jobserver = new Jobserver({ slots: 1, ...options });
  await jobserver.run(job);
  return () => jobserver.run(job);
};
const times = await inTurn(20, {
  spawn: await open({ context: 'spawn' }),
  forkserver: await open({ context: 'forkserver' }),
  'forkserver, preloaded': await open({
    context: 'forkserver',
    preload: [heavy],
  }),
});
table(
  'A job of a module that takes 200 ms to import',
  ['', 'submit to result'],
  Object.entries(times).map(([name, value]) => [
    name,
    `${value.toFixed(1)} ms`,
  ]),
);
process.exit();
