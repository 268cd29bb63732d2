import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Runs a program under a job server with these tokens, which looks like that of
 * make, and returns the tokens that are left.
 */
export async function underMake(
  folder: string,
  tokens: string,
  run: (env: NodeJS.ProcessEnv) => Promise<void>,
): Promise<string> {
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const { O_NONBLOCK, O_RDWR } = constants;
  const make = openSync(fifo, O_RDWR | O_NONBLOCK);
  try {
    writeSync(make, tokens);
    const MAKEFLAGS = ` -j9 --jobserver-auth=fifo:${fifo}`;
    await run({ ...process.env, MAKEFLAGS });
    const left = Buffer.alloc(tokens.length + 1);
    return left.toString('latin1', 0, readSync(make, left));
  } finally {
    closeSync(make);
  }
}
