// The example of a store for large values, against a small server that speaks as much
// of the protocol of S3 as it needs.
import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { runNode } from '../helpers/program.js';

const program = pathToFileURL(
  resolve('examples', 'cluster', 's3-store.mjs'),
).href;
const id = 'AKIAIOSFODNN7EXAMPLE';
const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

/** Runs a module in a node of its own, which can import the example. */
async function run(text: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const args = ['--input-type=module', '-e', text];
  const ended = await runNode(args, { env: { ...process.env, ...env } });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

test('it signs the example in the documentation of Amazon as that does', async () => {
  const request = {
    method: 'GET',
    extra: { range: 'bytes=0-9' },
    secrets: { id, secret, region: 'us-east-1' },
  };
  const printed = await run(`
    import { sign } from ${JSON.stringify(program)};
    const url = new URL('https://examplebucket.s3.amazonaws.com/test.txt');
    const now = new Date('2013-05-24T00:00:00Z');
    const request = ${JSON.stringify(request)};
    console.log(sign({ ...request, url, now }).authorization);`);

  expect(printed.trim()).toBe(
    `AWS4-HMAC-SHA256 Credential=${id}/20130524/us-east-1/s3/aws4_request,` +
      'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=' +
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  );
});

describe('with a bucket', () => {
  const objects = new Map<string, Buffer>();
  let server: Server;
  let failures = 0;

  beforeEach(async () => {
    objects.clear();
    failures = 0;
    server = createServer((request, response) => {
      void (async () => {
        const path = request.url!;
        const body = await buffer(request);
        if (failures > 0) {
          failures -= 1;
          response.writeHead(503).end('SlowDown');
          return;
        }
        if (!request.headers.authorization?.includes(`Credential=${id}/`)) {
          response.writeHead(403).end('AccessDenied');
        } else if (request.method === 'PUT') {
          objects.set(path, body);
          response.end();
        } else if (request.method === 'DELETE') {
          objects.delete(path);
          response.writeHead(204).end();
        } else if (objects.has(path)) {
          response.end(objects.get(path));
        } else {
          response.writeHead(404).end('NoSuchKey');
        }
      })();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  function runWithStore(text: string): Promise<string> {
    const { port } = server.address() as AddressInfo;
    return run(
      `import { store } from ${JSON.stringify(program)};
       const { put, get, drop } = store;
       ${text}`,
      {
        S3_URL: `http://127.0.0.1:${port}/bucket`,
        AWS_ACCESS_KEY_ID: id,
        AWS_SECRET_ACCESS_KEY: secret,
      },
    );
  }

  test('it keeps, gives and drops values', async () => {
    const printed = await runWithStore(`
      const bytes = new Uint8Array(3e6).fill(7);
      await put('a-1.b', bytes, 1000);
      const found = await get('a-1.b');
      console.log(found.length, found.every((byte) => byte === 7));
      await drop('a-1.b');
      await drop('a-1.b');`);

    expect(printed).toBe('3000000 true\n');
    expect([...objects]).toEqual([]);
  });

  test('a value that is not there is an error that names it', async () => {
    expect(
      await runWithStore(
        'console.log(await get("no").catch((e) => e.message));',
      ),
    ).toBe('S3: GET no: 404 NoSuchKey\n');
  });

  test('it tries again when the server is busy', async () => {
    failures = 2;
    const printed = await runWithStore(`
      await put('a', Buffer.from('text'), 1000);
      console.log(Buffer.from(await get('a')).toString());`);

    expect(printed).toBe('text\n');
  });
});
