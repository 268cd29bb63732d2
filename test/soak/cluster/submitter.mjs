// A submitter that is killed: node submitter.mjs URL STARTS NAME SEED LEASE_MS
import { ClusterExecutor } from 'jobserver/bullmq';
import { Random } from '../chaos/random.mjs';
import { Load } from './load.mjs';
import { root } from './settings.mjs';

process.title = 'chaos-submitter';
const [url, starts, name, seed, lease] = process.argv.slice(2);
const leaseMs = Number(lease);
const executor = new ClusterExecutor({ connection: url, root, leaseMs });
const random = new Random(seed);
const load = new Load({ executor, random, starts, name });
await load.run(3, () => false);
