// A Redis of its own for a program that tests or measures, at a free port.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const program = process.env.JOBSERVER_REDIS_SERVER ?? 'redis-server';
const patienceMs = 20_000 * Number(process.env.TEST_TIMEOUT_FACTOR ?? 1);
/** The last lines of its output, for the message of a failure. */
const kept = 4096;

export const noRedis = `there is no ${program} here (Debian: apt-get install redis-server)`;

export function hasRedis() {
  const options = { stdio: 'ignore', timeout: 10_000 };
  return spawnSync(program, ['--version'], options).status === 0;
}

const servers = new Set();
process.on('exit', () => {
  for (const server of servers) server.kill('SIGKILL');
});

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A server that can be killed and started again at the same port. */
export class Redis {
  /** Undefined while it is down. */
  #child;
  #log = '';
  #folder = mkdtempSync(join(tmpdir(), 'redis-'));
  #args;
  #port;

  /**
   * `isDurable`: with an append-only file, so that a restart loses nothing.
   * `args`: further arguments of redis-server.
   */
  static async start({ isDurable = false, args = [] } = {}) {
    const redis = new Redis(isDurable, args);
    try {
      for (let attempt = 1; ; attempt++) {
        redis.#port = await freePort();
        if (await redis.#tryStart()) return redis;
        if (attempt === 5) throw new Error(`no redis-server\n${redis.#log}`);
      }
    } catch (error) {
      await redis.stop();
      throw error;
    }
  }

  constructor(isDurable, args) {
    this.#args = [
      ...['--bind', '127.0.0.1', '--dir', this.#folder, '--save', ''],
      ...['--appendonly', isDurable ? 'yes' : 'no'],
      ...['--maxmemory-policy', 'noeviction', '--protected-mode', 'no'],
      ...args,
    ];
  }

  get port() {
    return this.#port;
  }

  get url() {
    return `redis://127.0.0.1:${this.#port}`;
  }

  get pid() {
    return this.#child?.pid;
  }

  /** Sends a signal to the server that runs. */
  signal(signal) {
    this.#child?.kill(signal);
  }

  /** Kills it, and resolves when it has ended. */
  async kill() {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** Starts it again after `kill`. */
  async restart() {
    if (!(await this.#tryStart())) {
      throw new Error(`redis-server did not start again\n${this.#log}`);
    }
  }

  /** Kills it, and removes its files. */
  async stop() {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Sends one command, such as 'INFO memory'; resolves with the reply as text. */
  async command(...words) {
    const socket = connect(this.#port, '127.0.0.1').setEncoding('utf8');
    try {
      const parts = words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`);
      socket.write(`*${words.length}\r\n${parts.join('')}`);
      let reply = '';
      for await (const text of socket) {
        reply += text;
        if (isWhole(reply)) return reply;
      }
      throw new Error(`redis-server has closed the connection: ${reply}`);
    } finally {
      socket.destroy();
    }
  }

  /** The names of the keys that stay until somebody deletes them. */
  lastingKeys() {
    return this.list(`local all = {}
      for _, key in ipairs(redis.call('KEYS', '*')) do
        if redis.call('PTTL', key) == -1 then table.insert(all, key) end
      end
      return all`);
  }

  /** What a Lua script returns for ARGV: a list of texts without line breaks. */
  async list(script, ...args) {
    const text = `return table.concat((function() ${script} end)(), '\\n')`;
    const reply = await this.command('EVAL', text, '0', ...args);
    const [, ...items] = reply.trimEnd().split(/\r?\n/);
    return items.filter((item) => item !== '');
  }

  /** One field of INFO. */
  async info(name) {
    const text = await this.command('INFO', 'everything');
    return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1];
  }

  /** False when the server could not start, such as at a port in use. */
  async #tryStart() {
    const args = ['--port', String(this.#port), ...this.#args];
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    servers.add(child);
    child.once('exit', () => servers.delete(child));
    const keep = (text) => (this.#log = (this.#log + text).slice(-kept));
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    let failed = false;
    child.on('error', (error) => {
      keep(error.message);
      failed = true;
    });
    const end = performance.now() + patienceMs;
    while (performance.now() < end) {
      if (failed || child.exitCode !== null) return false;
      // Another server may have this port.
      const pid = await this.info('process_id').catch(() => undefined);
      if (pid === String(child.pid) && (await this.#isLoaded())) return true;
      await sleep(10);
    }
    throw new Error(`redis-server does not answer\n${this.#log}`);
  }

  async #isLoaded() {
    return (await this.info('loading')) === '0';
  }
}

// Replies that these programs ask for: one line, or one bulk string.
function isWhole(reply) {
  if (!reply.endsWith('\r\n')) return false;
  const length = /^\$(-?\d+)\r\n/.exec(reply);
  if (length === null) return true;
  if (length[1] === '-1') return true;
  return Buffer.byteLength(reply) >= length[0].length + Number(length[1]) + 2;
}
