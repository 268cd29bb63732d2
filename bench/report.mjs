// How many values does a job report in a second? And how long does a message take over
// a channel to a job and back, compared with a MessagePort between two threads?
import { MessageChannel, Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { Jobserver, channel } from 'jobserver';
import { answer, reportMany } from './messengers.mjs';
import { inTurn, table } from './measure.mjs';

const reports = 200_000;
const rounds = 5;
const trips = 2000;
const batches = 15;

const jobserver = new Jobserver({ slots: 2 });
let heard = 0;
const listening = jobserver.with({ onReport: () => (heard += 1) });
const value = { done: 17, of: 100 };
const ways = {
  'a number, in a process of its own': () => listening.run(reportMany, reports),
  'an object, in a process of its own': () =>
    listening.run(reportMany, reports, value),
  'a number, in a process of several jobs': () =>
    listening.with({ jobsPerProcess: Infinity }).run(reportMany, reports),
  'nobody listens': () => jobserver.run(reportMany, reports),
};
const times = await inTurn(rounds, ways);
if (heard !== 3 * (rounds + 1) * reports) throw new Error('Reports were lost');

table(
  'Values that one job reports',
  ['value', 'a second'],
  Object.entries(times).map(([name, ms]) => [
    name,
    Math.round((1000 * reports) / ms).toLocaleString('en'),
  ]),
);

const { port1, port2 } = new MessageChannel();
const thread = new Worker(new URL('messengers.mjs', import.meta.url), {
  workerData: port2,
  transferList: [port2],
});
await once(thread, 'online');
const [port, theirs] = channel();
const done = jobserver.run(answer, theirs);

// Those of a batch are compared with those next to it, and of all batches the
// fastest quarter counts, because other processes disturb the rest.
const ends = { 'MessagePort, to a thread': port1, 'channel, to a job': port };
const taken = Object.fromEntries(Object.keys(ends).map((name) => [name, []]));
for (let batch = -1; batch < batches; batch++) {
  for (const [name, end] of Object.entries(ends)) {
    const us = await roundTrips(end);
    if (batch >= 0) taken[name].push(us);
  }
}
const [ofThread, ofJob] = Object.values(taken).map(firstQuartile);
table(
  'A message there and back',
  ['way', 'time', 'ratio'],
  [
    ['MessagePort, to a thread', `${ofThread.toFixed(1)} µs`, '1'],
    [
      'channel, to a job',
      `${ofJob.toFixed(1)} µs`,
      (ofJob / ofThread).toFixed(2),
    ],
  ],
);
port.close();
await done;
await thread.terminate();
await jobserver.close();

/** Microseconds of one. */
async function roundTrips(end) {
  const start = performance.now();
  await new Promise((resolve) => {
    let count = 0;
    const next = () => {
      count += 1;
      if (count <= trips) {
        end.postMessage(count);
        return;
      }
      end.off('message', next);
      resolve();
    };
    end.on('message', next);
    end.postMessage(0);
  });
  return ((performance.now() - start) / (trips + 1)) * 1000;
}

function firstQuartile(values) {
  return values.sort((a, b) => a - b)[values.length >> 2];
}
