// A host: `jobserver worker`, behind a proxy of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { root as packageRoot } from '../../../scripts/command.mjs';
import { kill } from '../chaos/processes.mjs';
import { Proxy } from './proxy.mjs';
import { root, slotsOfHost } from './settings.mjs';

const main = join(packageRoot, 'dist', 'cli', 'main.js');

export class Host {
  name;
  #child;
  #proxy;
  #stderr;

  static async start(port, name, leaseMs) {
    const host = new Host();
    host.name = name;
    host.#proxy = await Proxy.open(port);
    host.#child = spawn(
      process.execPath,
      [
        ...[main, 'worker', '--root', root, '--lease', String(leaseMs)],
        ...['-j', String(slotsOfHost), '--log-interval', '0', '--name', name],
        host.#proxy.url,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    host.#stderr = text(host.#child.stderr);
    return host;
  }

  get pid() {
    return this.#child.pid;
  }

  get isAlive() {
    const { exitCode, signalCode } = this.#child;
    return exitCode === null && signalCode === null;
  }

  signal(signal) {
    if (this.isAlive) kill(this.pid, signal);
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

  /** Lets it end its jobs. Resolves with what is wrong, if anything. */
  async drain() {
    this.signal('SIGTERM');
    const code = await this.#exit();
    if (code === 0) return undefined;
    return `host ${this.pid} exited with ${code}: ${await this.#stderr}`;
  }

  async #exit() {
    if (this.isAlive) await once(this.#child, 'exit');
    this.#proxy.close();
    return this.#child.exitCode ?? this.#child.signalCode;
  }
}
