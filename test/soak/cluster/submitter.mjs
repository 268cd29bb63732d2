// A submitter that the chaos kills, freezes and cuts off: node submitter.mjs OPTIONS.
// Submits calls until its standard input ends, and then prints what became of them.
import { ClusterExecutor } from 'jobserver/bullmq';
import { Random } from '../chaos/random.mjs';
import { Load } from './load.mjs';
import { root } from './settings.mjs';
import { store } from './store.mjs';
import { inTime, patienceMs } from './waiting.mjs';

process.title = 'chaos-submitter';
const { url, starts, name, seed, ...terms } = JSON.parse(process.argv[2]);
const executor = new ClusterExecutor({
  ...terms,
  connection: url,
  root,
  store,
});
const load = new Load({ executor, random: new Random(seed), starts, name });
let isOver = false;
process.stdin.on('end', () => (isOver = true)).resume();
await load.run(3, () => isOver);
const ended = load.end().then(() => executor.shutdown());
await inTime(`calls of ${name}`, ended, () => load.state(), patienceMs / 2);
console.log(JSON.stringify(load.outcomes));
