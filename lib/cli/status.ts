// `jobserver status`: what a queue looks like now.
import type { ClusterStatus, HostInfo } from '../bullmq/status.js';
import { type Command, parse } from './command.js';
import {
  connectionOf,
  connectionOptions,
  connectionUsage,
} from './connection.js';
import { Failure, exitCodes } from './exit.js';
import { reasonOf } from './reason.js';

const usage = `Usage: jobserver status [options] [URL]

Prints the hosts, the slots and the jobs of a queue in Redis. URL is that of Redis or
Valkey, redis://HOST:PORT, or rediss://HOST:PORT for TLS; default: JOBSERVER_URL.

${connectionUsage}      --json           print JSON
  -h, --help           print this help

Exit codes: 0 done, also without hosts; 1 Redis cannot be reached; 2 wrong command line.
`;

const options = { ...connectionOptions, json: { type: 'boolean' } } as const;

export const status: Command = { usage, run };

async function run(args: readonly string[]): Promise<number> {
  const parsed = parse('status', args, options);
  const { url, queue, version, shownUrl } = connectionOf(parsed, 'status');
  const { clusterStatus } =
    require('../bullmq/status.js') as typeof import('../bullmq/status.js');
  let found: ClusterStatus;
  try {
    found = await clusterStatus({ connection: url, queue, version });
  } catch (error) {
    throw new Failure(`${shownUrl}: ${reasonOf(error)}`);
  }
  const text =
    parsed.values.json === true ? JSON.stringify(found) : tableOf(found);
  process.stdout.write(`${text}\n`);
  return exitCodes.done;
}

function tableOf({ queue, hosts, counts, lastMinute }: ClusterStatus): string {
  const known = hosts.map(({ slots }) => slots).filter((n) => n !== undefined);
  const slots = known.reduce((sum, n) => sum + n, 0);
  const more = known.length < hosts.length ? ' and those of make' : '';
  const { pending, running, completed, failed } = counts;
  return [
    `queue       ${queue}`,
    `hosts       ${hosts.length}, with ${slots} slots${more}`,
    `jobs        ${pending} pending, ${running} running`,
    `kept        ${completed} completed, ${failed} failed`,
    `last minute ${lastMinute.completed} completed, ${lastMinute.failed} failed`,
    ...(hosts.length === 0 ? [] : ['', ...hostLines(hosts)]),
  ].join('\n');
}

function hostLines(hosts: readonly HostInfo[]): string[] {
  const rows = [
    ['HOST', 'PID', 'SLOTS', 'RUNNING', 'ENDED', 'UP'],
    ...[...hosts]
      .sort((a, b) =>
        a.name < b.name ? -1 : a.name > b.name ? 1 : a.pid - b.pid,
      )
      .map((host) => [
        host.name,
        String(host.pid),
        String(host.slots ?? '-'),
        String(host.running),
        String(host.completed),
        ageOf(host.startedAt),
      ]),
  ];
  const widths = rows[0]!.map((_, i) =>
    Math.max(...rows.map((row) => row[i]!.length)),
  );
  return rows.map((row) =>
    row
      .map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
      )
      .join('  '),
  );
}

/** In its two largest units. The clocks of two machines differ a little. */
function ageOf(startedAt: number): string {
  const seconds = Math.max(0, Math.round((Date.now() - startedAt) / 1000));
  const units = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'm'],
    [1, 's'],
  ] as const;
  const first = units.findIndex(([size]) => seconds >= size);
  if (first < 0) return '0s';
  return units
    .slice(first, first + 2)
    .map(([size, unit], i) => {
      const rest = i === 0 ? seconds : seconds % units[first]![0];
      return `${Math.floor(rest / size)}${unit}`;
    })
    .join(' ');
}
