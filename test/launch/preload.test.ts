import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { PreloadedModule } from '../../dist/index.js';
import * as jobs from '../fixtures/forkserver-jobs.js';
import { talk } from '../fixtures/output-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, openJobserver } from '../helpers/jobserver.js';
import { runNode } from '../helpers/program.js';

const folder = useFolder();
checkSlots();

function write(name: string, text: string): string {
  const path = join(folder(), name);
  writeFileSync(path, text);
  return path;
}

/** Runs a job after the module of this text was preloaded. */
async function preloaded(text: string): Promise<number | undefined> {
  const preload = [write('module.mjs', text)];
  const js = openJobserver({ context: 'forkserver', slots: 1, preload });
  return js.run(jobs.timesWarmed);
}

/** The message with which every job is refused. */
async function refusal(...preload: string[]): Promise<string> {
  const js = openJobserver({ context: 'forkserver', slots: 1, preload });
  const errors: Error[] = [];
  for (let i = 0; i < 2; i++) {
    errors.push((await js.run(jobs.timesWarmed).catch(Object)) as Error);
  }
  expect(errors[0]).toMatchObject({ code: 'ERR_JOBSERVER_PRELOAD' });
  expect(errors[1]).toEqual(errors[0]);
  return errors[0]!.message;
}

test.each([
  ['a file', `import { stat } from 'node:fs'; stat('/', warm);`],
  [
    'a file handle',
    `import { open } from 'node:fs/promises';
     void open('/').then((file) => file.close()).then(warm);`,
  ],
  ['a name', `import { lookup } from 'node:dns'; lookup('127.0.0.1', warm);`],
  ['zlib', `import { gzip } from 'node:zlib'; gzip('a'.repeat(1e6), warm);`],
  [
    'crypto',
    `import { pbkdf2 } from 'node:crypto';
     pbkdf2('a', 'b', 100_000, 32, 'sha512', warm);`,
  ],
  [
    'random bytes',
    `import { randomBytes } from 'node:crypto'; randomBytes(1e6, warm);`,
  ],
  ['a timer', `setTimeout(warm, 100);`],
  [
    'WebAssembly',
    `const bytes = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
     void WebAssembly.compile(bytes).then(warm);`,
  ],
  [
    'a program',
    `import { execFile } from 'node:child_process';
     execFile(process.execPath, ['--version'], warm);`,
  ],
  [
    'a thread that ends',
    `import { Worker } from 'node:worker_threads';
     new Worker('', { eval: true }).on('exit', warm);`,
  ],
])('what a preloaded module began is awaited: %s', async (_, text) => {
  const warm = 'function warm() { globalThis.warmed = 1; }';
  expect(await preloaded(`${text}\n${warm}`)).toBe(1);
});

test('a connection that fetch keeps for a while is awaited', async () => {
  const server = createServer((_, response) => response.end('1'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const value = await preloaded(`
      const response = await fetch('http://127.0.0.1:${port}');
      globalThis.warmed = Number(await response.text());
    `);
    expect(value).toBe(1);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('a CommonJS module can follow an ES module', async () => {
  const preload = [
    write('first.mjs', 'globalThis.warmed = 1;'),
    write('second.cjs', 'globalThis.warmed += 1;'),
  ];
  const js = openJobserver({ context: 'forkserver', slots: 1, preload });
  expect(await js.run(jobs.timesWarmed)).toBe(2);
});

test('the end of the event loop is not the end of the zygote', async () => {
  const value = await preloaded(
    `process.on('beforeExit', () => process.exit(3)); globalThis.warmed = 1;`,
  );
  expect(value).toBe(1);
});

test('a job whose output is captured does not write where preload has', async () => {
  const text = `console.log('of preload'); process.stderr.write('of preload\\n');`;
  const preload = [write('module.mjs', text)];
  const js = openJobserver({ context: 'forkserver', slots: 1, preload });
  const captured = js.with({ output: 'capture' });
  for (let i = 0; i < 2; i++) {
    const future = await captured.submit(talk, ['job']);
    await future.result();
    expect(future.stdout).toBe('job to stdout\n');
    expect(future.stderr).toBe('job to stderr\n');
  }
});

test('output that a preloaded module began is written', async () => {
  const preload = write(
    'prints.mjs',
    `process.stdout.write('x'.repeat(2_000_000));`,
  );
  const program = resolve('test', 'fixtures', 'preload-program.mjs');
  const child = spawn(process.execPath, [program, preload], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  // More than the pipe holds stays in the zygote until it is read here.
  await sleep(500);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  expect(await exit).toEqual([0, null]);
  expect(output === `${'x'.repeat(2_000_000)}done\n`).toBe(true);
});

// Keeps each of these open.
const kept = {
  Timeout: `setInterval(() => undefined, 1000);`,
  TCPServerWrap: `
    import { createServer } from 'node:net';
    createServer().listen(0);`,
  PipeWrap: `
    import { connect, createServer } from 'node:net';
    import { dirname, join } from 'node:path';
    import { fileURLToPath } from 'node:url';
    const path = join(dirname(fileURLToPath(import.meta.url)), 'socket');
    const server = createServer((socket) => socket.resume()).unref();
    await new Promise((resolve) => {
      server.listen(path, () => connect(path, resolve).unref());
    });`,
  socket: `
    import { spawn } from 'node:child_process';
    const child = spawn('sleep', ['60'], { stdio: ['pipe', 'ignore', 'ignore'] });
    child.unref();
    child.stdin.unref();
    process.on('exit', () => child.kill());`,
  FSEvent: `
    import { watch } from 'node:fs';
    watch('/');`,
  ProcessWrap: `
    import { spawn } from 'node:child_process';
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    process.on('exit', () => child.kill());`,
};

// At once, because the zygote waits for seconds whether they end.
test('a preloaded module that keeps a handle is refused', async () => {
  const messages = await Promise.all(
    Object.entries(kept).map(([kind, text]) =>
      refusal(write(`${kind}.mjs`, text)),
    ),
  );
  for (const [i, kind] of Object.keys(kept).entries()) {
    expect(messages[i]).toContain(`${kind}.mjs has left open handles`);
    expect(messages[i]!.replace(`${kind}.mjs`, '')).toContain(kind);
  }
});

const named = `
  import { readdirSync, writeFileSync } from 'node:fs';
  import { Worker } from 'node:worker_threads';
  const tasks = () => readdirSync('/proc/self/task');
  const before = tasks();
  const worker = new Worker('setInterval(() => undefined, 1000)', { eval: true });
  await new Promise((resolve) => worker.once('online', resolve));
  worker.unref();
  const task = tasks().find((id) => !before.includes(id));
  writeFileSync('/proc/self/task/' + task + '/comm', 'a-pool');
`;

test('the refusal names the module and the thread that it left', async () => {
  write('culprit.mjs', named);
  const outer = write('outer.mjs', `import './culprit.mjs';`);
  const innocent = write('innocent.mjs', 'globalThis.warmed = 1;');
  const message = await refusal(innocent, outer, innocent);
  expect(message).toContain('outer.mjs has left threads running (1: a-pool)');
  expect(message).not.toContain('innocent');
});

test('threads of the kernel are none that a preloaded module has left', async () => {
  const fitness = JSON.stringify(resolve('dist', 'child', 'fitness.js'));
  const program = `
    const { present, whatIsLeft } = require(${fitness});
    // Starts the threads of libuv.
    require('node:zlib').deflate('', () => {
      const before = present();
      require('node:fs/promises').stat(__filename)
        .then(() => whatIsLeft(before, 100))
        .then((left) => console.log(left ?? 'nothing'));
    });`;
  // For Node 20, in which libuv then uses io_uring for files. In later ones, it may
  // use it to wait for descriptors.
  const env = { ...process.env, UV_USE_IO_URING: '1' };
  const flags = ['--single-threaded', '--v8-pool-size=1'];
  const path = write('program.cjs', program);
  expect(await runNode([...flags, path], { env })).toMatchObject({
    code: 0,
    stdout: 'nothing\n',
  });
});

test('a preload of module hooks that run in a thread is refused', async () => {
  const hooks = resolve('test', 'fixtures', 'hooks', 'register.mjs');
  expect(await refusal(hooks)).toContain('module hooks that run in a thread');
});

test('a preloaded module that can never settle is refused', async () => {
  const never = 'await new Promise(() => undefined);';
  const message = await refusal(write('never.mjs', never));
  expect(message).toMatch(
    /never\.mjs waits at its top level .* nothing is left/,
  );
});

test('a preloaded module that does not settle is refused in time', async () => {
  const text = `
    setInterval(() => undefined, 1000);
    await new Promise(() => undefined);
  `;
  const url = JSON.stringify(write('never.mjs', text));
  const path = JSON.stringify(resolve('dist', 'child', 'preload.js'));
  const { stdout } = await runNode([
    '-e',
    `const { preloadModules } = require(${path});
     const packed = JSON.stringify([{ module: ${url} }]);
     preloadModules(packed, { settleMs: 200, restMs: 200 }).catch((error) => {
       console.log(error.code, error.message);
       process.exit();
     });`,
  ]);
  expect(stdout).toMatch(
    /^ERR_JOBSERVER_PRELOAD .*never\.mjs waits .* within 0\.2 s/,
  );
});

test.each([
  ['a callback', `setTimeout(() => { throw new RangeError('late'); }, 50);`],
  ['a rejection', `void Promise.reject(new RangeError('late'));`],
])('jobs fail with what %s of a preloaded module throws', async (_, text) => {
  await expect(preloaded(text)).rejects.toThrow(new RangeError('late'));
});

/** A module of a `setUp` with this body, and data for it. */
function withSetUp(name: string, body: string): PreloadedModule {
  const text = `
    export async function setUp(data) { ${body} }
    export const report = () => [process.ppid, globalThis.given];`;
  return { module: write(`${name}.mjs`, text), data: 1 };
}

const leaving = {
  Timeout: 'setInterval(() => undefined, 1000);',
  'threads running': `
    const { Worker } = await import('node:worker_threads');
    const worker = new Worker('setInterval(() => undefined, 1000)', { eval: true });
    await new Promise((resolve) => worker.once('online', resolve));
    worker.unref();`,
};

// At once, as above.
test('a setUp that leaves a handle or a thread is refused by name', async () => {
  const refusals = Object.entries(leaving).map(async ([kind, body], i) => {
    const preload = [withSetUp(`leaving-${i}`, body)];
    const js = openJobserver({ context: 'forkserver', slots: 1, preload });
    const code = 'ERR_JOBSERVER_PRELOAD';
    await expect(js.ready()).rejects.toMatchObject({ code });
    const error = (await js.run(jobs.timesWarmed).catch(Object)) as Error;
    expect(error).toMatchObject({ code });
    expect(error.message).toMatch(
      new RegExp(
        `^setUp of the preloaded module .*${i}\\.mjs has left.*${kind}`,
      ),
    );
  });
  await Promise.all(refusals);
});

test('jobs share no set of descriptors that a preloaded module has waited for', async () => {
  const library = pathToFileURL(resolve('dist', 'index.js')).href;
  const converse = `
    const { channel } = await import('${library}');
    const [port, theirs] = channel();
    port.postMessage(1);
    await new Promise((resolve) => theirs.once('message', resolve));
    port.close();
    theirs.close();`;
  const setsAfter = async (name: string, body: string): Promise<number> => {
    const preload = [withSetUp(name, body)];
    const js = openJobserver({ context: 'forkserver', slots: 1, preload });
    return js.run(jobs.countEventSets);
  };
  const sets = await setsAfter('silent', '');
  expect(await setsAfter('talkative', converse)).toBe(sets);
});

test('handles with equal data share a zygote, and others have their own', async () => {
  const { module } = withSetUp('module', 'globalThis.given = data;');
  const report = async (data: unknown): Promise<unknown[]> => {
    const preload = [{ module, data }];
    const js = openJobserver({ context: 'forkserver', slots: 1, preload });
    return js.run<[], unknown[]>(`${String(module)}#report`);
  };
  const large = new Uint8Array(1_000_000).fill(1);
  const other = Uint8Array.from(large);
  other[999_999] = 2;
  const all = [{ a: 1 }, undefined, large, other];
  const zygotes = new Set<unknown>();
  for (const data of all) {
    const [zygote, given] = await report(data);
    expect(given).toEqual(data);
    expect(await report(data)).toEqual([zygote, data]);
    zygotes.add(zygote);
  }
  expect(zygotes.size).toBe(all.length);
});

test('callbacks of afterFork run in forks only, and in each of them', async () => {
  const library = pathToFileURL(resolve('dist', 'index.js')).href;
  const log = join(folder(), 'log');
  const module = write(
    'module.mjs',
    `import { appendFileSync } from 'node:fs';
     import { afterFork } from '${library}';
     afterFork(() => appendFileSync('${log}', process.pid + ' '));
     export const pid = () => process.pid;`,
  );
  const js = openJobserver({
    ...{ context: 'forkserver', slots: 1, preload: [module] },
    warmUp: `${module}#pid`,
  });
  expect(await js.ready()).toBe('warm');
  let pids = '';
  for (let i = 0; i < 3; i++)
    pids += `${await js.run<[], number>(`${module}#pid`)} `;
  expect(readFileSync(log, 'utf8')).toBe(pids);
});
