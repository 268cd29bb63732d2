// A program with jobs under the job server that MAKEFLAGS names, which the chaos
// kills: node submitter.mjs LOG LEDGERS NAME SEED MILLISECONDS JSON, where JSON is the
// options `canNest` and `isGentle` of the load. Prints a line for each job that was lost.
import { Ledger } from './ledger.mjs';
import { Load, openReused } from './load.mjs';
import { Random } from './random.mjs';

const [log, ledgers, name, seed, ms, options] = process.argv.slice(2);
const ledger = new Ledger(ledgers);
const random = new Random(`${seed} ${name}`);
const onEnds = (count) => (ledger.ends = count);
const given = { random, log, name, onEnds, ...JSON.parse(options) };
const load = new Load(given);
const { all, close } = openReused();
// From now on, the chaos may kill this process: some before their workers run.
if (random.chance(0.7)) {
  // A worker may be killed already.
  const ignore = () => undefined;
  await Promise.all(all.map((js) => js.run(Math.abs, 1).catch(ignore)));
}
process.title = 'chaos-submitter';
const end = performance.now() + Number(ms);
await load.run(all, 4, () => performance.now() > end);
await close();
ledger.close();
for (const loss of load.losses) console.log(JSON.stringify(loss));
