import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { runNode } from '../helpers/program.js';

const programs = join(__dirname, '..', 'fixtures', 'thread-programs.js');

/** A Jobserver in a worker thread. */
export function threadContract(context: Context): void {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'threads-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const run = async (name: string, env = process.env): Promise<unknown> => {
    const args = [...process.execArgv, programs, name, context];
    const { code, stdout, stderr } = await runNode(args, { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout);
  };

  test('a thread that ends closes no file of another thread', async () => {
    expect(await run('keepFiles')).toEqual({ closed: [], warnings: [] });
  });

  test('a thread that has joined make closes no file of another thread', async () => {
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const make = openSync(fifo, 'r+');
    try {
      writeSync(make, '+++');
      const MAKEFLAGS = ` -j4 --jobserver-auth=fifo:${fifo}`;
      const found = await run('keepFiles', { ...process.env, MAKEFLAGS });
      expect(found).toEqual({ closed: [], warnings: [] });
    } finally {
      closeSync(make);
    }
  });
}
