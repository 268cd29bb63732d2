// What does each control add to a job that does nothing?
import { Jobserver } from 'jobserver';
import { nothing } from './jobs.mjs';
import { inTurn, table } from './measure.mjs';

const jobs = 20;
const rounds = 25;

const js = new Jobserver({ slots: 1 });
const controls = {
  none: {},
  'runTimeout, killGrace, retries': {
    ...{ runTimeout: 60_000, killGrace: 1000, retries: 1 },
  },
  processGroup: { processGroup: true },
  'nice, limits, oomScoreAdj': {
    ...{ nice: 1, limits: { openFiles: 1000 } },
    ...(process.platform === 'linux' ? { oomScoreAdj: 100 } : {}),
  },
  onReport: { onReport: () => undefined },
  input: { input: 'text' },
  "output: 'ignore'": { output: 'ignore' },
  "output: 'capture'": { output: 'capture' },
  "output: 'group'": { output: 'group' },
  'output: a function': { output: () => undefined },
};
const ways = Object.fromEntries(
  Object.entries(controls).map(([name, given]) => [
    name,
    async () => {
      const handle = js.with(given);
      for (let i = 0; i < jobs; i++) await handle.run(nothing);
    },
  ]),
);
const times = await inTurn(rounds, ways);
await js.close();

table(
  `A job that does nothing, ${js.context} context`,
  ['controls', 'one job after the other', 'ratio'],
  Object.entries(times).map(([name, ms]) => [
    name,
    `${(ms / jobs).toFixed(2)} ms`,
    (ms / times.none).toFixed(2),
  ]),
);
