// The processes that share a queue, each behind a proxy of its own: hosts, which are
// `jobserver worker`, and submitters.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { root as packageRoot } from '../../../scripts/command.mjs';
import { kill } from '../chaos/processes.mjs';
import { Proxy } from './proxy.mjs';
import { environmentOf, root, slotsOfHost } from './settings.mjs';

const main = join(packageRoot, 'dist', 'cli', 'main.js');
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

class Member {
  name;
  #child;
  #proxy;
  #stdout;
  #stderr;

  /** @param args of node. */
  constructor({ name, proxy, args, terms }) {
    this.name = name;
    this.#proxy = proxy;
    this.#child = spawn(process.execPath, args, {
      env: { ...process.env, ...environmentOf(terms) },
    });
    this.#stdout = text(this.#child.stdout);
    this.#stderr = text(this.#child.stderr);
    // That of one that has died.
    this.#child.stdin.on('error', () => undefined);
  }

  get isAlive() {
    const { exitCode, signalCode } = this.#child;
    return exitCode === null && signalCode === null;
  }

  signal(signal) {
    if (this.isAlive) kill(this.#child.pid, signal);
  }

  silence() {
    this.#proxy.silence();
  }

  heal() {
    this.#proxy.heal();
  }

  async kill() {
    this.signal('SIGKILL');
    await this.#exit();
  }

  /** Lets it end what it does. Resolves with what it has printed. */
  async end() {
    this.#child.stdin.end();
    const code = await this.#exit();
    if (code === 0) return this.#stdout;
    throw new Error(`${this.name} exited with ${code}: ${await this.#stderr}`);
  }

  async #exit() {
    if (this.isAlive) await once(this.#child, 'exit');
    this.#proxy.close();
    return this.#child.exitCode ?? this.#child.signalCode;
  }
}

export class Host extends Member {
  /** @param terms those of the round. */
  static async start(port, name, terms) {
    const proxy = await Proxy.open(port);
    const { leaseMs, jobsPerProcess, store } = terms;
    const args = [
      ...[main, 'worker', '--root', root, '--lease', String(leaseMs)],
      ...['-j', String(slotsOfHost), '--log-interval', '0', '--name', name],
      ...['--jobs-per-process', String(jobsPerProcess)],
      ...(store === undefined ? [] : ['--store', here('store.mjs')]),
      proxy.url,
    ];
    return new Host({ name, proxy, args, terms });
  }

  end() {
    this.signal('SIGTERM');
    return super.end();
  }
}

export class Submitter extends Member {
  /** @param options `starts`, a file, and `seed`. */
  static async start(port, name, terms, { starts, seed }) {
    const proxy = await Proxy.open(port);
    const { leaseMs, retries, nests } = terms;
    const own = { url: proxy.url, leaseMs, retries };
    Object.assign(own, { starts, name, seed, nests });
    const args = [here('submitter.mjs'), JSON.stringify(own)];
    return new Submitter({ name, proxy, args, terms });
  }

  /** Resolves with how often its calls had each outcome. */
  async end() {
    return JSON.parse(await super.end());
  }
}
