// Small servers for what Kubernetes and Prometheus ask a worker.
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Failure } from './exit.js';
import type { Address } from './values.js';

export interface Answer {
  readonly status: 200 | 503;
  readonly type: string;
  readonly body: string;
}

/** Makes the answer for each path that there is. */
export type Routes = Readonly<Record<string, () => Answer>>;

export interface Listening {
  /** `http://HOST:PORT` */
  readonly url: string;
  close(): void;
}

/**
 * Listens until `close` is called. Keeps no process alive.
 *
 * @throws Failure when the address cannot be had.
 */
export async function listen(
  address: Address,
  routes: Routes,
): Promise<Listening> {
  const { createServer } = require('node:http') as typeof import('node:http');
  const server = createServer((request, response) => {
    respond(request, response, routes);
  });
  // Those who ask send a few bytes, and at once.
  server.requestTimeout = 10_000;
  server.headersTimeout = 10_000;
  server.unref();
  try {
    server.listen(address.port, address.host);
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const place = [address.host, address.port].filter(isGiven).join(':');
    throw new Failure(`cannot listen on ${place}: ${code ?? message}`);
  }
  return { url: urlOf(server, address), close: () => void end(server) };
}

function respond(
  request: IncomingMessage,
  response: ServerResponse,
  routes: Routes,
): void {
  const [path = ''] = (request.url ?? '').split('?');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  if (!Object.hasOwn(routes, path)) {
    const paths = Object.keys(routes).join('\n');
    response.writeHead(404, { 'content-type': 'text/plain' });
    response.end(`There is\n${paths}\n`);
    return;
  }
  const { status, type, body } = routes[path]!();
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  // Node leaves out the body of the answer to HEAD.
  response.end(body);
}

function end(server: Server): void {
  server.close();
  server.closeAllConnections();
}

function urlOf(server: Server, { host = 'localhost' }: Address): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function isGiven(part: unknown): boolean {
  return part !== undefined;
}
