// Kills, freezes and cuts off hosts, jobs, submitters and Redis at random, while calls
// of many kinds run on three hosts. A round draws by its seed whether it has a key,
// processes of several jobs, a store, and jobs of jobs.
//
//   node test/soak/cluster.mjs [--seconds=60] [--seed=N]
//
// Fails when a call does not settle or ends with what it cannot have, when a job is
// started more often than once and its retries, or when slots, processes or keys in
// Redis are left. The message of a failure names the seed, with which the next run
// begins with the round that has failed; its timing will differ.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandLine } from '../../scripts/command.mjs';
import { hasRedis, noRedis } from '../../scripts/redis.mjs';
import { kill, mark, processes } from './chaos/processes.mjs';
import { Random } from './chaos/random.mjs';

const usage = `
Usage: node test/soak/cluster.mjs [--seconds=N] [--seed=N]

Kills, freezes and cuts off hosts, jobs, submitters and Redis at random, while calls run
on three hosts. Needs Linux and redis-server.

  --seconds=N  for how long, by default 60; the last round is run to its end
  --seed=N     what to begin with, by default at random
`;
const { values } = commandLine(usage, {
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
  },
});
if (!(values.seconds > 0 && values.seed >= 0)) {
  console.error(`--seconds and --seed have to be numbers\n${usage}`);
  process.exit(2);
}
if (!hasRedis()) {
  console.error(noRedis);
  process.exit(1);
}

// What is done to whom: see `Round`.
const kinds = {
  // A busy machine must not make a host late, because it checks who has lost calls.
  hosts: { troubles: ['kill host'], leaseMs: 4000 },
  'hosts, with retries': { troubles: ['kill host', 'freeze host'], retries: 2 },
  jobs: { troubles: ['kill job', 'kill job', 'freeze job', 'kill zygote'] },
  frozen: { troubles: ['freeze host', 'freeze job', 'freeze zygote'] },
  partitions: { troubles: ['cut host', 'cut submitter'] },
  submitters: {
    troubles: ['kill submitter', 'freeze submitter', 'cut submitter'],
  },
  redis: { troubles: ['freeze redis', 'kill redis'] },
  'lost data': { troubles: ['kill redis'], losesData: true },
  all: {
    troubles: [
      ...['kill host', 'freeze host', 'cut host'],
      ...['kill submitter', 'freeze submitter', 'cut submitter'],
      ...['kill job', 'freeze job', 'kill zygote', 'freeze zygote'],
      ...['freeze redis', 'kill redis'],
    ],
    retries: 1,
  },
};

// Before the library is loaded, so that all processes of this run inherit it.
const [name, value] = mark.split('=');
process.env[name] = value;
const { Round } = await import('./cluster/round.mjs');
const { describeTerms, drawTerms } = await import('./cluster/settings.mjs');

async function runRound(seed) {
  const names = Object.keys(kinds);
  const kindName = names[seed % names.length];
  const kind = { ms: 5000, retries: 0, leaseMs: 1000, ...kinds[kindName] };
  const folder = mkdtempSync(join(tmpdir(), 'cluster-chaos-'));
  const random = new Random(seed);
  const terms = drawTerms(random, kind, folder);
  const title = `seed ${seed}, ${kindName}${describeTerms(terms)}`;
  const start = performance.now();
  try {
    const told = await new Round({ random, kind, terms, folder }).run();
    const seconds = ((performance.now() - start) / 1e3).toFixed(1);
    console.log(`${title}: ${seconds} s, ${JSON.stringify(told)}`);
  } catch (error) {
    throw new Error(`${title}: ${error.message}`, { cause: error });
  } finally {
    killAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

function killAll() {
  for (const { pid } of processes()) kill(pid);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    killAll();
    process.exit(1);
  });
}
const end = performance.now() + 1000 * Number(values.seconds);
console.log(`cluster chaos: seed ${values.seed}, Node ${process.version}`);
for (let seed = Number(values.seed); performance.now() < end; seed++) {
  await runRound(seed);
}
// An executor that has failed may keep the process alive.
process.exit();
