// Many light hosts in one process: node cluster-hosts.mjs URL ROOT COUNT LEASE_MS
// They share two slots, and print a line when all of them take jobs.
import { Jobserver } from 'jobserver';
import { ClusterHost } from 'jobserver/bullmq';

const [connection, root, count, leaseMs] = process.argv.slice(2);
const jobserver = new Jobserver({ slots: 2, jobsPerProcess: Infinity });
const hosts = Array.from({ length: Number(count) }, (_, i) => {
  return new ClusterHost({
    connection,
    root,
    leaseMs: Number(leaseMs),
    name: `host${i}`,
    jobserver,
  });
});
for (const host of hosts) await host.ready();
console.log('ready');
