// A program with jobs under the job server that MAKEFLAGS names, which the chaos
// kills: node submitter.mjs LOG NAME SEED MILLISECONDS. Prints how many of its jobs
// were lost.
import { Load, openReused } from './load.mjs';
import { Random } from './random.mjs';

const [log, name, seed, ms, canNest] = process.argv.slice(2);
const random = new Random(`${seed} ${name}`);
const load = new Load({ random, log, name, canNest: canNest === 'true' });
const { all, close } = openReused();
// A forkserver that has not served yet drops the requests of a dead submitter, and
// their tokens. From now on, the chaos may kill this process.
await Promise.all(all.map((js) => js.run(Math.abs, 1)));
process.title = 'chaos-submitter';
const end = performance.now() + Number(ms);
await load.run(all, 4, () => performance.now() > end);
await close();
console.log(load.lost);
