import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { writeFiles } from '../helpers/folder.js';
import { freePort } from '../helpers/redis.js';
import { until } from '../helpers/until.js';
import {
  type RunOptions,
  type Running,
  comparable,
  runVitest,
  startVitest,
  summary,
  useProject,
} from './vitest.js';

const project = useProject('plain');
const forks = { env: { POOL: 'forks' } };

describe('reporters', () => {
  beforeEach(() => {
    writeFiles(project(), {
      'fails.test.js': `
        import { expect, test } from 'vitest';
        let count = 0;
        test('passes at last', { retry: 2 }, () => expect(++count).toBe(3));
        test('fails', () => { console.log('said'); expect(1).toBe(2); });
        test.skip('is skipped', () => {});
        test.todo('is to do');`,
    });
  });

  /** The exit code, the output and the files that a command writes. */
  async function reports(
    args: readonly string[],
    files: readonly string[],
    options: RunOptions,
  ): Promise<unknown[]> {
    const quick = '--slowTestThreshold=1000000';
    const running = startVitest(project(), [...args, quick], options);
    await running.ended;
    const lines = comparable({ output: running.output(), files: [] });
    const written = files.map((file) =>
      withoutTimes(readFileSync(join(project(), file), 'utf8')),
    );
    return [running.process.exitCode, lines, ...written];
  }

  test('write what they write with the pool of vitest', async () => {
    const kinds = ['json', 'junit'];
    const args = [
      ...['run', 'fails'],
      ...[...kinds, 'tap', 'verbose'].map((kind) => `--reporter=${kind}`),
      ...kinds.map((kind) => `--outputFile.${kind}=${kind}`),
    ];
    const ours = await reports(args, kinds, {});
    expect(ours).toEqual(await reports(args, kinds, forks));
    expect(ours).toContainEqual(expect.stringContaining('<testsuites'));
  });

  test.each([
    ['dot', 'expected 1 to be 2'],
    ['github-actions', '::error file='],
  ])(
    'write what they write with the pool of vitest: %s',
    async (kind, text) => {
      const args = ['run', 'fails', `--reporter=${kind}`];
      const ours = await reports(args, [], {});
      expect(ours).toEqual(await reports(args, [], forks));
      expect(String(ours[1])).toContain(text);
    },
  );

  test('merge reports of shards', async () => {
    const merged: unknown[] = [];
    for (const options of [{}, forks]) {
      for (const shard of [1, 2]) {
        const args = ['run', '--reporter=blob', `--shard=${shard}/2`];
        await reports([...args, '--outputFile=blobs/' + shard], [], options);
      }
      const args = ['--merge-reports=blobs', '--reporter=verbose'];
      merged.push(await reports(args, [], options));
      rmSync(join(project(), 'blobs'), { recursive: true });
    }
    expect(merged[0]).toEqual(merged[1]);
    expect(String(merged[0])).toContain('fails.test.js > passes at last');
    expect(String(merged[0])).toContain('sum-4.test.js > sum 4');
  });
});

function withoutTimes(report: string): string {
  return report
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\d+\.\d+|\d{13}/g, 'TIME');
}

test('`vitest list` finds the tests, and runs none', async () => {
  const running = startVitest(project(), ['list']);
  await running.ended;
  expect(running.process.exitCode).toBe(0);
  const lines = running.output().trim().split('\n').sort();
  const named = (what: string): string[] =>
    [1, 2, 3, 4].map((n) => `sum-${n}.test.js > ${what} ${n}`);
  expect(lines).toEqual([...named('mean'), ...named('sum')].sort());
});

test('--bail ends the run after a test that fails', async () => {
  writeFiles(project(), {
    'fails.test.js': `
      import { test } from 'vitest';
      test('fails', () => { throw new Error('x'); });
      test('is left out', () => {});`,
  });
  const args = ['--bail=1', '--no-file-parallelism', 'fails'];
  const run = await runVitest(project(), args, { code: 1 });
  const ends = summary(run).map((line) => line.split(' Error', 1)[0]!.trim());
  expect(ends).toContain('fails.test.js: fails: failed');
  expect(ends).not.toContain('fails.test.js: is left out: passed');
});

test('--changed runs what depends on a file that has changed', async () => {
  const git = (...args: readonly string[]): void => {
    const name = ['-c', 'user.name=x', '-c', 'user.email=x@localhost'];
    execFileSync('git', [...name, ...args], { cwd: project() });
  };
  writeFiles(project(), { '.gitignore': 'node_modules\nreport.json' });
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--no-gpg-sign', '--message=x');
  appendFileSync(join(project(), 'sum-2.test.js'), '// Changed.\n');
  const { files } = await runVitest(project(), ['--changed']);
  expect(files.map(({ name }) => name.split('/').at(-1))).toEqual([
    'sum-2.test.js',
  ]);
});

describe('--inspect-brk', () => {
  async function debug(): Promise<{ running: Running; url: URL }> {
    const place = `127.0.0.1:${await freePort()}`;
    const running = startVitest(project(), [
      ...['run', 'sum-1', '--no-file-parallelism', `--inspect-brk=${place}`],
    ]);
    let url: string | undefined;
    await until(
      'the debugger to listen',
      () => {
        url = /ws:\/\/\S+/.exec(running.output())?.[0];
        return url !== undefined;
      },
      30_000,
    );
    return { running, url: new URL(url!) };
  }

  test('pauses the file until a debugger goes on', async () => {
    const { running, url } = await debug();
    const debuggee = attach(url);
    // What is sent earlier is lost.
    await until('the answer', () => debuggee.said(' 101 '));
    debuggee.send('Debugger.enable');
    debuggee.send('Runtime.runIfWaitingForDebugger');
    await until('the pause', () => debuggee.said('"Debugger.paused"'), 30_000);
    expect(running.output()).not.toContain('passed');
    debuggee.send('Debugger.resume');
    await until('the end of it', () => debuggee.said('"Debugger.resumed"'));
    // Or vitest would wait for an answer when it closes the connection.
    debuggee.end();
    await running.ended;
    expect(running.process.exitCode).toBe(0);
    expect(running.output()).toContain('2 passed');
  });

  // useProject looks for it.
  test('leaves no process that waits for a debugger', async () => {
    const { running } = await debug();
    running.process.kill('SIGKILL');
    await running.ended;
  });
});

interface Debuggee {
  send(method: string): void;
  said(text: string): boolean;
  end(): void;
}

// Node 20 has no WebSocket.
function attach({ hostname, port, pathname }: URL): Debuggee {
  let received = '';
  let count = 0;
  const socket = connect(Number(port), hostname).setEncoding('utf8');
  socket.on('data', (text: string) => (received += text));
  // When the file ends.
  socket.on('error', () => socket.destroy());
  const key = Buffer.alloc(16).toString('base64');
  socket.write(
    `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n` +
      'Upgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  return {
    send(method) {
      const text = JSON.stringify({ id: ++count, method });
      // One frame of text, with a mask of zeros.
      socket.write(Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]));
      socket.write(text);
    },
    said: (text) => received.includes(text),
    end: () => socket.destroy(),
  };
}
