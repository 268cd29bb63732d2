// A submitter that the chaos kills, freezes and cuts off: node submitter.mjs OPTIONS.
// Submits calls until its standard input ends, and then prints what became of them.
import { once } from 'node:events';
import { ClusterExecutor } from 'jobserver/bullmq';
import { Random } from '../chaos/random.mjs';
import { Load } from './load.mjs';
import { root } from './settings.mjs';
import { store } from './store.mjs';
import { inTime, patienceMs } from './waiting.mjs';

process.title = 'chaos-submitter';
const { url, leaseMs, retries, seed, ...own } = JSON.parse(process.argv[2]);
const executor = new ClusterExecutor({
  connection: url,
  root,
  ...{ leaseMs, retries, store },
});
const load = new Load({ ...own, executor, random: new Random(seed) });
let isOver = false;
const over = once(process.stdin.resume(), 'end').then(() => (isOver = true));
const ended = load
  .run(3, () => isOver)
  .then(async () => {
    await load.end();
    await executor.shutdown();
  });
await Promise.race([over, ended]);
await inTime(own.name, ended, () => load.state(), patienceMs / 2);
console.log(JSON.stringify(load.outcomes));
