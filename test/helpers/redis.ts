// A Redis server of its own for a test file.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.js';

const program = process.env['JOBSERVER_REDIS_SERVER'] ?? 'redis-server';

const memoryOnly = ['--save', '', '--appendonly', 'no'];
const policy = ['--maxmemory-policy', 'noeviction'];

export class RedisServer {
  readonly port: number;
  /** Where it keeps its files. */
  readonly folder: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, folder: string, args: readonly string[]) {
    this.port = port;
    this.folder = folder;
    this.#args = args;
  }

  /** `args` come after those of a server that keeps nothing on disk. */
  static async start(args: readonly string[] = []): Promise<RedisServer> {
    const folder = mkdtempSync(join(tmpdir(), 'redis-'));
    for (let attempt = 1; ; attempt++) {
      const server = new RedisServer(await freePort(), folder, args);
      try {
        await server.startAgain();
        return server;
      } catch (error) {
        // Another program may have got the port meanwhile.
        if (attempt === 3) throw error;
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** On the same port, with the files that are there. */
  async startAgain(): Promise<void> {
    const child = spawn(
      program,
      [
        ...['--bind', '127.0.0.1', '--port', String(this.port)],
        ...['--dir', this.folder, '--loglevel', 'warning'],
        ...memoryOnly,
        ...policy,
        ...this.#args,
      ],
      { stdio: 'ignore' },
    );
    this.#child = child;
    let hasFailed = false;
    child.once('error', () => (hasFailed = true));
    child.once('exit', () => (hasFailed = true));
    await until('the Redis server to answer', async () => {
      if (hasFailed) throw new Error(`${program} has ended at once`);
      return answers(this.port);
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child!.kill(signal);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    if (child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** One for all tests of a file. */
export function useRedis(args: readonly string[] = []): () => RedisServer {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start(args);
  });
  afterAll(() => server.end());
  return () => server;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}

/** Whether commands are served; while files are loaded they are not. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (isServed: boolean): void => {
      socket.destroy();
      resolve(isServed);
    };
    socket.once('error', () => {
      end(false);
    });
    socket.setTimeout(1000, () => {
      end(false);
    });
    socket.once('data', (reply) => {
      end(/^(\+PONG|-NOAUTH)/.test(reply.toString()));
    });
    socket.write('PING\r\n');
  });
}
